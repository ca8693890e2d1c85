"""InfluxDB's line protocol: measurement,tag=value field=value,field=value timestamp."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from aemon.frame import printable
from aemon.sources.push.batches import Batch, Problem, UnreadableBodyError

MEASUREMENT = "measurement"  # the column that holds the measurement of a point

PRECISIONS = {"ns": 1, "n": 1, "u": 10**3, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
              "h": 3600 * 10**9}  # fmt: skip
"""The precision that a request names -> nanoseconds in one unit of its timestamps."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FURTHEST = 2**63  # nanoseconds since 1970: the limit of the protocol

_ESCAPED = re.compile(r"\\([,= \\\"])")
_NAME = re.compile(r"(?:\\.|[^,= \\])+")  # name of a tag, value of a tag, or name of a field
_MEASUREMENT = re.compile(r"(?:\\.|[^, \\])+")
_SERIES = re.compile(r"(?:\\.|[^ \\])+")  # measurement and tags
_STRING = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TRUTHS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)


class _BadLineError(ValueError):
    """A line breaks the protocol; `at` is the position of the wrong character, from 0."""

    def __init__(self, at: int, problem: str) -> None:
        super().__init__(problem)
        self.at = at


def read_lines(text: str, precision: str) -> Batch:
    """Read one point from each line: its fields, its tags and its measurement are columns.

    As in InfluxDB, measurement, tags and time together identify a point. A point without a timestamp
    has the time None.

    Raises:
        UnreadableBodyError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        names = ", ".join(PRECISIONS)
        raise UnreadableBodyError(f"the precision {precision!r} is unknown; use one of: {names}")
    unit = PRECISIONS[precision]
    batch = Batch(times=[], keys=[])
    times, keys = batch.times or [], batch.keys or []
    known: dict[str, dict[str, Any]] = {}
    number = 1
    for line in _split(text):
        here, number = number, number + line.count("\n") + 1
        point = line.strip("\r")
        if not point.strip() or point.lstrip().startswith("#"):
            continue
        try:
            record, series, time = _point(point, unit, known)
        except _BadLineError as error:
            problem = Problem(line=here, column=error.at + 1, reason="not_line", problem=str(error))
            batch.reject(problem, point)
            continue
        batch.add(record, here)
        times.append(time)
        keys.append(series)
    return Batch(batch.records, batch.lines, times, keys, batch.problems, batch.texts)


def _split(text: str) -> list[str]:
    """Split a text into lines; a line end within a quoted string does not split."""
    lines, started = [], ""
    for line in text.split("\n"):
        started = f"{started}\n{line}" if started else line
        if started.count('"') - started.count('\\"') & 1 and '="' in started:
            continue
        lines.append(started)
        started = ""
    return [*lines, started] if started else lines


def _point(
    line: str, unit: int, known: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], str, datetime | None]:
    """Return a point's columns, the text of its measurement and tags, and its time.

    `known` caches the columns of measurement and tags by their text, because many points have the
    same text.
    """
    begun = _SERIES.match(line)
    if begun is not None and begun[0] in known:
        record, series, at = known[begun[0]].copy(), begun[0], begun.end()
    else:
        record, at = _measurement_and_tags(line)
        series = line[:at].lstrip()
        known[series] = record.copy()
    if line[at : at + 1] != " ":
        raise _BadLineError(at, "fields are expected here, after a blank")
    at = _past_blanks(line, at)
    while True:
        name, at = _name(line, at, "a field")
        record[name], at = _field(line, at)
        if line[at : at + 1] != ",":
            break
        at += 1
    end = _past_blanks(line, at)
    if end == len(line):
        return record, series, None
    if end == at:
        raise _BadLineError(at, "a comma or a blank is expected here, after a field")
    return record, series, _time(line[end:].strip(), unit, end)


def _measurement_and_tags(line: str) -> tuple[dict[str, Any], int]:
    """Return the columns of a point's measurement and tags, and the position after the tags."""
    at = len(line) - len(line.lstrip())
    found = _MEASUREMENT.match(line, at)
    if found is None:
        raise _BadLineError(at, "a line begins with a measurement")
    record: dict[str, Any] = {MEASUREMENT: _text(found[0])}
    at = found.end()
    while line[at : at + 1] == ",":
        name, at = _name(line, at + 1, "a tag")
        value = _NAME.match(line, at)
        if value is None:
            raise _BadLineError(at, "a tag needs a value")
        record[name], at = _text(value[0]), value.end()
    return record, at


def _past_blanks(line: str, at: int) -> int:
    while line[at : at + 1] == " ":
        at += 1
    return at


def _name(line: str, at: int, what: str) -> tuple[str, int]:
    found = _NAME.match(line, at)
    if found is None or line[found.end() : found.end() + 1] != "=":
        raise _BadLineError(at, f"{what} is written name=value")
    return _text(found[0]), found.end() + 1


def _field(line: str, at: int) -> tuple[Any, int]:
    """Return the value of a field, and the position after the field."""
    if line[at : at + 1] == '"':
        text = _STRING.match(line, at)
        if text is None:
            raise _BadLineError(at, "the text of a field does not end with a quote")
        return printable(_ESCAPED.sub(r"\1", text[1])), text.end()
    number = _NUMBER.match(line, at)
    if number is not None:
        end = number.end()
        if line[end : end + 1] in ("i", "u") and number[0].lstrip("+-").isdigit():
            return _whole(number[0]), end + 1
        value = float(number[0])
        return value if abs(value) != float("inf") else None, end
    word = _NAME.match(line, at)
    if word is not None and word[0] in _TRUTHS:
        return _TRUTHS[word[0]], word.end()
    raise _BadLineError(at, 'a field is a number, 7i, true or "text"')


def _whole(text: str) -> int | float:
    number = int(text)
    return number if abs(number) < _FURTHEST else float(number)


def _time(text: str, unit: int, at: int) -> datetime:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or int(digits or 0) * unit >= _FURTHEST:
        raise _BadLineError(
            at, "a timestamp is a whole number of units since 1970; the precision sets the unit"
        )
    return _EPOCH + timedelta(microseconds=int(text) * unit // 1000)


def _text(written: str) -> str:
    return printable(_ESCAPED.sub(r"\1", written) if "\\" in written else written)
