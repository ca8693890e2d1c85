"""Reads the body of a request as a batch of records, with a problem for each unreadable record."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aemon.frame import printable

MOST_SHOWN = 40  # characters of a value in a message
MOST_DEPTH = 8  # levels of nested objects
_WHOLE = 2**63  # no database holds a larger whole number
_NO_NUMBER = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """The reason why a record, or one of its columns, cannot be read.

    Attributes:
        line: line of the body, or the number of the record in a JSON array, counted from 1.
        column: position of the wrong character in the line, counted from 1; 0: not known.
        reason: the name under which the problem is counted.
        problem: a sentence for people.
    """

    line: int
    column: int = 0
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one request.

    Attributes:
        records: columns and values of each record, in the types of JSON.
        lines: position of each record, as `Problem.line`.
        times: event times, if the format has event times; None if a column holds event times.
        keys: keys, if the format has keys; None if a column or the time is the key.
        problems: problems of unreadable records, which `records` does not hold.
        texts: line number -> text of an unreadable record, to show to people.
        partly: problems of single columns; `records` holds the records with these columns.
        is_parts: whether `records` holds parts of records; parts with the same entity and key make
            one record.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    times: list[Any] | None = None
    keys: list[str] | None = None
    problems: list[Problem] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    partly: list[Problem] = field(default_factory=list)
    is_parts: bool = False

    def add(self, record: dict[str, Any], line: int) -> None:
        """Add a record."""
        self.records.append(record)
        self.lines.append(line)

    def reject(self, problem: Problem, text: str) -> None:
        """Add the problem of a text that is not a record."""
        self.problems.append(problem)
        self.texts[problem.line] = text


class UnreadableBodyError(ValueError):
    """A request body cannot be read at all; the message says where and why."""


def read_json(text: str) -> Batch:
    """Read an array of objects, or one object.

    Raises:
        UnreadableBodyError: the body is not JSON.
    """
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableBodyError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"the JSON cannot be read: {error}") from None
    found = document if isinstance(document, list) else [document]
    batch = Batch()
    for number, one in enumerate(found, start=1):
        if isinstance(one, dict):
            batch.add(_plain(one, number, batch), number)
        else:
            text = f'a record is an object, such as {{"flow": 4.5}}, not {_shown(one)}'
            batch.reject(Problem(line=number, reason="not_json", problem=text), json.dumps(one))
    return batch


def read_json_lines(text: str) -> Batch:
    """Read one object from each line; empty lines are skipped."""
    batch = Batch()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            one = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            problem = Problem(
                line=number, column=error.colno, reason="not_json", problem=f"not JSON: {error.msg}"
            )
            batch.reject(problem, line)
            continue
        except (ValueError, RecursionError) as error:
            batch.reject(Problem(line=number, reason="not_json", problem=str(error)), line)
            continue
        if isinstance(one, dict):
            batch.add(_plain(one, number, batch), number)
        else:
            problem = Problem(
                line=number, column=1, reason="not_json", problem="this text is not a JSON object"
            )
            batch.reject(problem, line)
    return batch


def read_csv(text: str) -> Batch:
    """Read CSV with the column names in line 1; text in the form of a number becomes a number.

    Raises:
        UnreadableBodyError: the first line does not name the columns.
    """
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    batch = Batch()
    try:
        names = [printable(name.strip()) for name in next(lines, [])]
    except csv.Error as error:
        raise UnreadableBodyError(f"line 1: not CSV: {error}") from None
    if not names or not all(names) or len(set(names)) < len(names):
        raise UnreadableBodyError("line 1 must name the columns, each once, separated by commas")
    while True:
        number = lines.line_num + 1
        try:
            values = next(lines, None)
        except csv.Error as error:
            problem = Problem(line=number, reason="not_csv", problem=f"not CSV: {error}")
            batch.reject(problem, "")
            return batch  # the beginning of the next line is not known
        if values is None:
            return batch
        if len(values) == len(names):
            batch.add({n: _value(v) for n, v in zip(names, values, strict=True)}, number)
        elif values:
            text = f"{len(values)} values, but line 1 has {len(names)} names"
            batch.reject(Problem(line=number, reason="not_csv", problem=text), ",".join(values))


def _plain(record: dict[str, Any], line: int, batch: Batch) -> dict[str, Any]:
    """Return a record in plain values; members of nested objects are columns `outer.inner`."""
    if _is_plain(record):
        return record
    plain: dict[str, Any] = {}
    for name, value in _flat(record, "", 0):
        if isinstance(value, list | dict):
            text = f"{_shown(name)} is a list, or nested too deeply; its value is missing"
            batch.partly.append(Problem(line=line, reason="not_plain", problem=text))
        plain[_clean(name)] = _cell(value)
    return plain


def _is_plain(record: dict[str, Any]) -> bool:
    """Return whether the store can hold a record unchanged, which is true of most records."""
    for name, value in record.items():
        kind = type(value)
        if kind is float:
            plain = value - value == 0  # neither NaN nor an infinity
        elif kind is str:
            plain = value.isascii() and "\x00" not in value
        elif kind is int:
            plain = -_WHOLE < value < _WHOLE
        else:
            plain = value is None or kind is bool
        if not (plain and name.isascii() and "\x00" not in name):
            return False
    return True


def _cell(value: Any) -> Any:
    """Return a value in a form that the store can hold; None if the value has no such form."""
    match value:
        case str():
            return _clean(value)
        case bool() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case int():
            return value if -_WHOLE < value < _WHOLE else _large(value)
    return None


def _clean(text: str) -> str:
    return text if text.isascii() and "\x00" not in text else printable(text)


def _flat(record: dict[str, Any], before: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict) and depth < MOST_DEPTH:
            yield from _flat(value, f"{before}{name}.", depth + 1)
        else:
            yield f"{before}{name}", value


def _value(text: str) -> Any:
    """Return the number or the text that a field of CSV holds; None: empty field.

    >>> _value("4.5"), _value(" 7"), _value("1_0"), _value("ON"), _value("")
    (4.5, 7, '1_0', 'ON', None)
    """
    if not text:
        return None
    number = _number(text)
    return printable(text) if number is _NO_NUMBER else number


def _number(text: str) -> Any:
    if text[0] not in _BEGIN_NUMBERS or "_" in text:  # only Python reads 1_000 as a number
        return _NO_NUMBER
    for kind in _KINDS:
        try:
            number = kind(text)
        except (ValueError, OverflowError):
            continue
        if isinstance(number, int):
            return number if -_WHOLE < number < _WHOLE else _large(number)
        return number if math.isfinite(number) else None
    return _NO_NUMBER


_BEGIN_NUMBERS = frozenset("+-.0123456789nNiI \t")
_KINDS: tuple[Callable[[str], int | float], ...] = (int, float)


def _large(number: int) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


def _missing(_constant: str) -> None:
    """Return None for NaN and infinities, which are not values of a record."""


_DECODER = json.JSONDecoder(parse_constant=_missing)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
