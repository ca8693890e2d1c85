"""The body of a request as a batch of records, and what of it cannot be read."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aemon.frame import printable

MOST_SHOWN = 40  # characters of a value in a message
MOST_DEPTH = 8  # objects within objects
_WHOLE = 2**63  # no database holds a larger whole number
_NO_NUMBER = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a record, or one of its columns, cannot be read.

    Attributes:
        line: of the body, or the number of the record in a JSON array, counted from 1.
        column: a character of that line, where one is to blame; 0 where none is.
        reason: as it is counted.
        problem: in words.
    """

    line: int
    column: int = 0
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one request.

    Attributes:
        records: columns and values of each, in the types of JSON.
        lines: where each stands, as `Problem.line`.
        times: event times that the format itself names; None where a column has them.
        keys: what identifies each record by the format itself; None where a column or the time does.
        problems: what cannot be read; a record with a problem of its own is not among the records.
        texts: the lines that are no records, by their number, for people to look at.
        partly: problems of single columns, whose records are among the records.
        is_parts: the records are parts: those of one entity and key are joined to one record.
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
        """Add what is no record."""
        self.problems.append(problem)
        self.texts[problem.line] = text


class UnreadableBodyError(ValueError):
    """A body holds no records at all that can be read; the message says where and why."""


def read_json(text: str) -> Batch:
    """Read an array of objects, or one object.

    Raises:
        UnreadableBodyError: the body is no such JSON.
    """
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableBodyError(
            f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"no JSON that can be read: {error}") from None
    found = document if isinstance(document, list) else [document]
    batch = Batch()
    for number, one in enumerate(found, start=1):
        if isinstance(one, dict):
            batch.add(_plain(one, number, batch), number)
        else:
            told = f'a record is an object, such as {{"flow": 4.5}}, and not {_shown(one)}'
            batch.reject(Problem(line=number, reason="not_json", problem=told), json.dumps(one))
    return batch


def read_json_lines(text: str) -> Batch:
    """Read one object a line; empty lines are passed over."""
    batch = Batch()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            one = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            told = Problem(
                line=number, column=error.colno, reason="not_json", problem=f"no JSON: {error.msg}"
            )
            batch.reject(told, line)
            continue
        except (ValueError, RecursionError) as error:
            batch.reject(Problem(line=number, reason="not_json", problem=str(error)), line)
            continue
        if isinstance(one, dict):
            batch.add(_plain(one, number, batch), number)
        else:
            told = Problem(
                line=number, column=1, reason="not_json", problem="the line is no JSON object"
            )
            batch.reject(told, line)
    return batch


def read_csv(text: str) -> Batch:
    """Read lines of values under a line of names; what is written like a number is one.

    Raises:
        UnreadableBodyError: the first line does not name the columns.
    """
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    batch = Batch()
    try:
        names = [printable(name.strip()) for name in next(lines, [])]
    except csv.Error as error:
        raise UnreadableBodyError(f"line 1: no CSV: {error}") from None
    if not names or not all(names) or len(set(names)) < len(names):
        raise UnreadableBodyError("line 1 must name the columns, each once, separated by commas")
    while True:
        number = lines.line_num + 1
        try:
            values = next(lines, None)
        except csv.Error as error:
            told = Problem(line=number, reason="not_csv", problem=f"no CSV: {error}")
            batch.reject(told, "")
            return batch  # where the next line begins is not known
        if values is None:
            return batch
        if len(values) == len(names):
            batch.add({n: _value(v) for n, v in zip(names, values, strict=True)}, number)
        elif values:
            problem = f"{len(values)} values under {len(names)} names"
            batch.reject(Problem(line=number, reason="not_csv", problem=problem), ",".join(values))


def _plain(record: dict[str, Any], line: int, batch: Batch) -> dict[str, Any]:
    """Return a record in plain values; members of objects within are columns `outer.inner`."""
    if _is_plain(record):
        return record
    plain: dict[str, Any] = {}
    for name, value in _flat(record, "", 0):
        if isinstance(value, list | dict):
            told = f"{_shown(name)} is a list or too deep, and stays missing"
            batch.partly.append(Problem(line=line, reason="not_plain", problem=told))
        plain[_clean(name)] = _cell(value)
    return plain


def _is_plain(record: dict[str, Any]) -> bool:
    """Return whether the store takes a record as it is, which most are."""
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
    """Return one value as the store takes it, None for what it cannot hold."""
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
    """Return the number or the text that a field of CSV is; None where it is empty.

    >>> _value("4.5"), _value(" 7"), _value("1_0"), _value("ON"), _value("")
    (4.5, 7, '1_0', 'ON', None)
    """
    if not text:
        return None
    number = _number(text)
    return printable(text) if number is _NO_NUMBER else number


def _number(text: str) -> Any:
    if text[0] not in _BEGIN_NUMBERS or "_" in text:  # Python alone writes 1_000
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
    """Stand for NaN and infinities, which are no values."""


_DECODER = json.JSONDecoder(parse_constant=_missing)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
