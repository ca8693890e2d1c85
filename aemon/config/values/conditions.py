"""Conditions on a record, such as `speed > 10 and state == 'run'`; never executed as code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator

LONGEST_CONDITION = 2_000  # maximum characters
DEEPEST = 50  # maximum levels of nested conditions
MOST_LISTED = 200  # maximum values after `in`

Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
_SIGNS: dict[str, Comparison] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "==": "==",
    "!=": "!=",
}
_EQUAL = ("==", "!=")
_MIRRORED: dict[Comparison, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the record."""

    name: str


Value = float | str | bool
Operand = Column | Value


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison of a column with a value or with a second column."""

    column: Column
    sign: Comparison
    other: Operand


@dataclass(frozen=True, slots=True)
class Listed:
    """A test whether the value of a cell is in a list of values."""

    column: Column
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A test whether a cell is missing."""

    column: Column


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A test whether a cell is true."""

    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Joined:
    """Several conditions joined by `and` or by `or`."""

    by: Literal["and", "or"]
    parts: tuple["Condition", ...]


Condition = Compared | Listed | Missing | IsTrue | Not | Joined


class _Token(NamedTuple):
    kind: str  # number, quoted, ticked, word, sign or end
    text: str
    place: int  # position of the first character, counted from 1


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<quoted>"(?:[^"])*"|'(?:[^'])*')
    |(?P<ticked>`[^`]+`)
    |(?P<word>[^\W\d][\w.]*)
    |(?P<sign><=|>=|==|!=|<>|&&|\|\||[<>=!()\[\],&|])
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "is", "in", "missing", "true", "false"})
_WRONG_SIGNS = {"=": "==", "<>": "!=", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_NAMED = "the name of a column"
_VALUED = "a number, a text in quotes, true, false or the name of a column"


def parse_condition(text: str) -> Condition:
    """Parse a condition.

    >>> parse_condition("speed > 10")
    Compared(column=Column(name='speed'), sign='>', other=10.0)

    Raises:
        ValueError: the text is not a condition; the message names the position of the wrong
            character, and what was expected there.
    """
    if len(text) > LONGEST_CONDITION:
        raise ValueError(f"a condition has at most {LONGEST_CONDITION} characters")
    return _Parser(list(_tokens(text))).whole()


def columns_of(condition: Condition) -> tuple[str, ...]:
    """Return the names of the columns in a condition, each name once, in the written order."""
    return tuple(dict.fromkeys(_names(condition)))


def _names(part: Condition | Operand) -> Iterator[str]:
    match part:
        case Column(name):
            yield name
        case Compared(column, _, other):
            yield from _names(column)
            yield from _names(other)
        case Listed(column) | Missing(column) | IsTrue(column):
            yield column.name
        case Not(inner):
            yield from _names(inner)
        case Joined(_, parts):
            for inner in parts:
                yield from _names(inner)


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            raise _unread(text, start)
        kind = found.lastgroup
        token = _Token(kind, found[kind], found.start(kind) + 1)
        if token.text in _WRONG_SIGNS:
            raise _error(
                token.place, f"{token.text!r} is not known; write {_WRONG_SIGNS[token.text]}"
            )
        yield token
        place = found.end()
    yield _Token("end", "the end", len(text) + 1)


def _unread(text: str, start: int) -> ValueError:
    character = text[start]
    if character in "\"'`":
        return _error(start + 1, f"a {character} is opened here and never closed")
    if character.isdigit():
        return _error(
            start + 1, "expected a number; put names that begin with a digit in `backticks`"
        )
    if character in "+-*/%^":
        return _error(
            start + 1, f"{character!r} is not known: a condition compares cells, without arithmetic"
        )
    return _error(start + 1, f"{character!r} is not known; put names with it in `backticks`")


def _error(place: int, what: str) -> ValueError:
    return ValueError(f"character {place}: {what}")


class _Parser:
    """A parser by recursive descent: or, and, not, comparison."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        found = self._any()
        token = self._take()
        if token.kind != "end":
            problem = f"expected `and`, `or` or the end, not {token.text!r}"
            if token.text in _SIGNS:
                problem = "compare two values at a time, and join comparisons with `and`"
            raise _error(token.place, problem)
        return found

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _word(self, *words: str) -> bool:
        """Read the next token if it is one of these words; letter case does not matter."""
        token = self._tokens[self._next]
        found = token.kind == "word" and token.text.lower() in words
        if found:
            self._take()
        return found

    def _sign(self, *signs: str) -> bool:
        token = self._tokens[self._next]
        found = token.kind == "sign" and token.text in signs
        if found:
            self._take()
        return found

    def _any(self) -> Condition:
        return self._join("or", [self._all()])

    def _all(self) -> Condition:
        return self._join("and", [self._not()])

    def _join(self, by: Literal["and", "or"], parts: list[Condition]) -> Condition:
        while self._word(by):
            parts.append(self._not() if by == "and" else self._all())
        return parts[0] if len(parts) == 1 else Joined(by, tuple(parts))

    def _not(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _error(
                self._tokens[self._next].place, f"more than {DEEPEST} levels of conditions"
            )
        found = Not(self._not()) if self._word("not") else self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Condition:
        if self._sign("("):
            found = self._any()
            self._expect(")")
            return found
        began = self._tokens[self._next]
        left = self._operand(_VALUED, left=True)
        negated = False
        if self._word("is"):
            negated = self._word("not")
            if not self._word("missing"):
                raise self._expected("`missing`")
            test: Condition = Missing(_column(left, began))
            return Not(test) if negated else test
        if (negated := self._word("not")) or self._word("in"):
            if negated and not self._word("in"):
                raise self._expected("`in`")
            test = Listed(_column(left, began), self._list())
            return Not(test) if negated else test
        sign = self._tokens[self._next]
        if not self._sign(*_SIGNS):
            if isinstance(left, Column):
                return IsTrue(left)
            raise self._expected("a comparison such as < or ==")
        return self._compared(left, sign, began)

    def _compared(self, left: Operand, sign: _Token, began: _Token) -> Compared:
        place = self._tokens[self._next].place
        right = self._operand(_VALUED if sign.text in _EQUAL else "a number")
        if not isinstance(left, Column) and not isinstance(right, Column):
            raise _error(began.place, f"expected {_NAMED} on one side of {sign.text}")
        for operand, where in ((left, began.place), (right, place)):
            if isinstance(operand, bool | str) and sign.text not in _EQUAL:
                shown = repr(operand).lower() if isinstance(operand, bool) else repr(operand)
                raise _error(where, f"expected a number: {shown} can only be compared by == and !=")
        comparison = _SIGNS[sign.text]
        if isinstance(left, Column):
            return Compared(left, comparison, right)
        return Compared(_column(right, sign), _MIRRORED.get(comparison, comparison), left)

    def _list(self) -> tuple[Value, ...]:
        self._expect("[")
        values: list[Value] = []
        while not values or self._sign(","):
            place = self._tokens[self._next].place
            value = self._operand("a number, a text in quotes, true or false")
            if isinstance(value, Column):
                raise _error(place, "expected a number, a text in quotes, true or false")
            values.append(value)
            if len(values) > MOST_LISTED:
                raise _error(place, f"more than {MOST_LISTED} values")
        self._expect("]")
        return tuple(values)

    def _operand(self, expected: str, *, left: bool = False) -> Operand:
        token = self._tokens[self._next]
        match token.kind:
            case "number":
                found: Operand = float(token.text)
            case "quoted":
                found = Column(token.text[1:-1]) if left else token.text[1:-1]
            case "ticked":
                found = Column(token.text[1:-1])
            case "word" if token.text.lower() in ("true", "false"):
                found = token.text.lower() == "true"
            case "word" if token.text.lower() not in _WORDS:
                found = Column(token.text)
            case _:
                raise self._expected(expected)
        self._take()
        return found

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._expected(repr(sign))

    def _expected(self, expected: str) -> ValueError:
        token = self._tokens[self._next]
        shown = token.text if token.kind == "end" else repr(token.text)
        return _error(token.place, f"expected {expected}, not {shown}")


def _column(operand: Operand, token: _Token) -> Column:
    if not isinstance(operand, Column):
        raise _error(token.place, f"expected {_NAMED}")
    return operand


def _checked(text: str) -> str:
    parse_condition(text)
    return text


ConditionText = Annotated[str, AfterValidator(_checked)]
"""A condition on a record as text."""
