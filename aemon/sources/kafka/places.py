"""Places of values in a message: a JSON path into its value, or a further part such as its key."""

from dataclasses import dataclass

from aemon.sources.json_paths import JsonPath, read_path

KEY, TIMESTAMP, TOPIC, PARTITION, HEADERS = "key", "timestamp", "topic", "partition", "headers"
VALUE = "value"
_PARTS = (KEY, TIMESTAMP, TOPIC, PARTITION, HEADERS)
_PLAIN_PARTS = (TIMESTAMP, TOPIC, PARTITION)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a plain value: a part of the message, and the path within that part."""

    part: str
    path: JsonPath


def read_place(text: str) -> Place:
    """Parse a place such as `$.flow`, `$key`, `$key.device`, `$headers.site` or `$timestamp`.

    >>> read_place("$.flow"), read_place("$key.id")
    (Place(part='value', path=('flow',)), Place(part='key', path=('id',)))

    Raises:
        ValueError: the text is not a place in a message.
    """
    for part in _PARTS:
        rest = text.removeprefix(f"${part}")
        if rest == text or rest[:1] not in ("", ".", "["):
            continue
        path = read_path(f"${rest}")
        if part in _PLAIN_PARTS and path:
            raise ValueError(f"{text!r}: ${part} is one value, without members")
        if part == HEADERS and len(path) != 1:
            raise ValueError(f"{text!r} must name one header, such as $headers.site")
        return Place(part, path)
    if text.startswith("$") and text[1:2] not in ("", ".", "["):
        raise ValueError(
            f"{text!r} is not a part of a message: write $.name for the value, or "
            f"{', '.join(f'${part}' for part in _PARTS)}"
        )
    return Place(VALUE, read_path(text))
