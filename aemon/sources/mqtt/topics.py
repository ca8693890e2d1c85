"""Topic filters of MQTT with wildcards, split into levels."""

from dataclasses import dataclass

MOST_BYTES = 65_535  # maximum length of a topic in the protocol
ANY_LEVEL, ALL_BELOW = "+", "#"
SHARED = "$share/"


def check_filter(text: str) -> str:
    """Return a topic filter unchanged.

    Raises:
        ValueError: brokers would refuse the filter, or aemon does not support it.
    """
    levels = text.split("/")
    if not text or "\x00" in text or len(text.encode(errors="replace")) > MOST_BYTES:
        raise ValueError(f"a topic must have 1 to {MOST_BYTES:,} bytes, without a NUL byte")
    if text.startswith(SHARED):
        raise ValueError(
            "subscriptions cannot be shared: each monitor reads all messages of its topics; "
            "daemons on one store share the monitors instead"
        )
    if any(ANY_LEVEL in level and level != ANY_LEVEL for level in levels):
        raise ValueError(f"{text!r}: + stands for a whole level, such as plant/+/flow")
    if any(ALL_BELOW in level for level in levels[:-1]) or levels[-1] not in (
        ALL_BELOW,
        levels[-1].replace(ALL_BELOW, ""),
    ):
        raise ValueError(f"{text!r}: # must be the whole last level, such as plant/#")
    return text


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A topic filter, split into its levels."""

    levels: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "TopicFilter":
        """Return the filter for a text.

        >>> TopicFilter.of("plant/+/flow").matches(("plant", "p1", "flow"))
        True
        """
        return cls(tuple(text.split("/")))

    def matches(self, topic: tuple[str, ...]) -> bool:
        """Return whether the filter matches a topic, given by its levels.

        >>> TopicFilter.of("plant/#").matches(("plant",)), TopicFilter.of("#").matches(("$SYS", "x"))
        (True, False)
        """
        levels = self.levels
        if topic[0].startswith("$") and levels[0] in (ANY_LEVEL, ALL_BELOW):
            return False  # protocol: wildcards do not match a first level that begins with $
        if levels[-1] == ALL_BELOW:
            levels = levels[:-1]
            if len(topic) < len(levels):
                return False
        elif len(topic) != len(levels):
            return False
        return all(level in (ANY_LEVEL, given) for level, given in zip(levels, topic, strict=False))

    def always_has(self, level: int) -> bool:
        """Return whether every matching topic has the level `level`, counted from 0."""
        return level < len(self.levels) - (self.levels[-1] == ALL_BELOW)
