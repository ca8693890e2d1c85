"""Messages about records that cannot be judged, so that no record is dropped without a message."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aemon.errors import FrameError
from aemon.reading.reader import UNREADABLE, Read

WHY = {
    "no_time": "no readable time",
    "time_out_of_range": "a time before 1678 or after 2261",
    "no_key": "no key",
    "key_too_long": "a key and entity of more than 2,000 bytes",
    UNREADABLE: "a form that the source cannot read",
    "not_text": "a payload that is not text in UTF-8",
    "not_json": "a payload that is not JSON",
    "not_avro": "a payload that does not fit the Avro schema",
    "not_csv": "a line that is not CSV",
    "not_line": "a line that is not valid line protocol",
    "not_plain": "a value that is not a number, truth value or text",
    "no_node": "a node that the server does not have",
    "no_value": "no value of a configured column",
    "too_many_columns": "more columns than a record may have",
    "too_long": "a payload of more than 1 MB",
    "too_late": "a time before which records are no longer accepted",
    "time_ahead": "a time more than an hour ahead of the clock",
    "no_tag": "no name of a tag",
    "not_a_number": "texts where a column needs numbers",
    "too_many_readings": "no room, because too many readings are in open buckets",
    "duplicate_key": "a key that is repeated further down",
}
_UNREADABLE = ("no_time", "time_out_of_range", "no_key", "key_too_long")
_TODO = "check that `time`, `key` and, for a CSV file, `separator` fit the source"
_SAY_FORMAT = (
    "set how times are written, time_format: '%d.%m.%Y %H:%M:%S' or a name such as excel or unix; "
    "set their zone, timezone: Europe/Berlin; or check that `time`, `key` and, for a CSV "
    "file, `separator` fit the source"
)
_CORRECT_FORMAT = "correct time_format, or check that `time` names the right column"


class Unreadable:
    """The counts of judgeable and rejected records over several reads.

    Attributes:
        warnings: the warnings of the source, without repetition.
    """

    def __init__(self) -> None:
        self.warnings: tuple[str, ...] = ()
        self._acceptable = self._waiting = 0
        self._formatted = False
        self._rejected: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, read: Read) -> None:
        """Add the counts, examples and warnings of one read."""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *read.warnings)))
        self._acceptable += read.acceptable
        self._waiting = read.waiting
        self._formatted = read.roles.time_format is not None
        self._rejected.update(read.frame.rejected)
        self._examples = {**read.examples, **self._examples}

    @property
    def summary(self) -> tuple[str, ...]:
        """The number of rejected records and the cause, one phrase for each reason."""
        return rejections(self._rejected, self._examples)

    def refusal(self) -> FrameError | None:
        """Return an error if records were read and none of the records can be judged, else None."""
        count = sum(self._rejected[reason] for reason in _UNREADABLE)
        if self._acceptable or not count + self._waiting:
            return None
        if not count:
            why = [f"{self._waiting} with a time that is unreadable or more than a year ahead"]
        else:
            why = list(self.summary)
        problems = "; ".join((*why, *self.warnings))
        if self._waiting or self._rejected["no_time"] or self._rejected["time_out_of_range"]:
            todo = _CORRECT_FORMAT if self._formatted else _SAY_FORMAT
        else:
            todo = _TODO
        return FrameError(
            f"none of {count + self._waiting} records can be judged: {problems}", todo=todo
        )


def rejections(rejected: Mapping[str, int], examples: Mapping[str, str]) -> tuple[str, ...]:
    """Return one phrase for each reason: how many records were rejected, and why.

    >>> rejections({"no_time": 3}, {"no_time": "ts 'soon' in record 7"})
    ("3 with no readable time, such as ts 'soon' in record 7",)
    """
    return tuple(_rejection(reason, rejected, examples) for reason in rejected if rejected[reason])


def _rejection(reason: str, rejected: Mapping[str, int], examples: Mapping[str, str]) -> str:
    example = f", such as {examples[reason]}" if reason in examples else ""
    return f"{rejected[reason]} with {WHY.get(reason, reason)}{example}"


def joined(parts: Iterable[str]) -> str:
    """Return texts joined by semicolons in one line; leave out empty texts."""
    return "; ".join(filter(None, parts))
