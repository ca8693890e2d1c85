"""What is said of records that cannot be judged at all: silence would be a bug."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aemon.errors import FrameError
from aemon.reading.reader import UNREADABLE, Read

WHY = {
    "no_time": "no readable time",
    "time_out_of_range": "a time that no clock can have meant",
    "no_key": "no key",
    "key_too_long": "a key and entity of more than 2,000 bytes",
    UNREADABLE: "what the source cannot read",
    "not_text": "a payload that is no text in UTF-8",
    "not_json": "a payload that is no JSON",
    "not_avro": "a payload that does not fit the Avro schema",
    "not_csv": "a line that is no CSV",
    "not_line": "a line that breaks the line protocol",
    "not_plain": "a value that is no number, truth or text",
    "no_node": "a node that the server does not give",
    "no_value": "none of the values that the configuration names",
    "too_many_columns": "more columns than a record may have",
    "too_long": "a payload of more than 1 MB",
    "too_late": "a time whose record was judged already",
    "duplicate_key": "a key that comes again further down",
}
_UNREADABLE = ("no_time", "time_out_of_range", "no_key", "key_too_long")
_TODO = "see whether `time`, `key` and, of a CSV file, `separator` are those of the source"
_SAY_FORMAT = (
    "say how times are written, time_format: '%d.%m.%Y %H:%M:%S' or a name such as excel or unix, "
    "in whose zone they are, timezone: Europe/Berlin, or see whether `time`, `key` and, of a CSV "
    "file, `separator` are those of the source"
)
_CORRECT_FORMAT = "correct time_format, or see whether `time` names the right column"


class Unreadable:
    """Counts what was read and rejected over several reads.

    Attributes:
        warnings: what the source warned of, each once.
    """

    def __init__(self) -> None:
        self.warnings: tuple[str, ...] = ()
        self._acceptable = self._waiting = 0
        self._formatted = False
        self._rejected: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, read: Read) -> None:
        """Count one read."""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *read.warnings)))
        self._acceptable += read.acceptable
        self._waiting = read.waiting
        self._formatted = read.roles.time_format is not None
        self._rejected.update(read.frame.rejected)
        self._examples = {**read.examples, **self._examples}

    @property
    def summary(self) -> tuple[str, ...]:
        """What is wrong with the rejected records, by reason, a sentence each."""
        return rejections(self._rejected, self._examples)

    def refusal(self) -> FrameError | None:
        """Return why no record can be judged; None if some can, or none is there."""
        count = sum(self._rejected[reason] for reason in _UNREADABLE)
        if self._acceptable or not count + self._waiting:
            return None
        if not count:
            why = [f"{self._waiting} with a time that is unreadable or more than a year ahead"]
        else:
            why = list(self.summary)
        told = "; ".join((*why, *self.warnings))
        if self._waiting or self._rejected["no_time"] or self._rejected["time_out_of_range"]:
            todo = _CORRECT_FORMAT if self._formatted else _SAY_FORMAT
        else:
            todo = _TODO
        return FrameError(
            f"none of {count + self._waiting} records can be judged: {told}", todo=todo
        )


def rejections(rejected: Mapping[str, int], examples: Mapping[str, str]) -> tuple[str, ...]:
    """Return how many records were rejected and why, a phrase for each reason.

    >>> rejections({"no_time": 3}, {"no_time": "ts 'soon' in record 7"})
    ("3 with no readable time, such as ts 'soon' in record 7",)
    """
    return tuple(_rejection(reason, rejected, examples) for reason in rejected if rejected[reason])


def _rejection(reason: str, rejected: Mapping[str, int], examples: Mapping[str, str]) -> str:
    example = f", such as {examples[reason]}" if reason in examples else ""
    return f"{rejected[reason]} with {WHY.get(reason, reason)}{example}"


def joined(parts: Iterable[str]) -> str:
    """Return sentences as one line, without those that are empty."""
    return "; ".join(filter(None, parts))
