"""Conditions as text: what is read, and what is refused at which character."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemon.config.column_settings import ColumnSettings
from aemon.config.values.conditions import (
    Column,
    Compared,
    IsTrue,
    Joined,
    Listed,
    Missing,
    Not,
    columns_of,
    parse_condition,
)

SPEED, STATE = Column("speed"), Column("state")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("speed > 10", Compared(SPEED, ">", 10.0)),
        ("10 < speed", Compared(SPEED, ">", 10.0)),
        ("speed>=-1.5e3", Compared(SPEED, ">=", -1500.0)),
        ("speed <= `set point`", Compared(SPEED, "<=", Column("set point"))),
        ("'pump speed' != .5", Compared(Column("pump speed"), "!=", 0.5)),
        ("`or` == true", Compared(Column("or"), "==", True)),
        ('state == "is it on"', Compared(STATE, "==", "is it on")),
        ("Drehzahl_ü.1 > 0", Compared(Column("Drehzahl_ü.1"), ">", 0.0)),
        ("running", IsTrue(Column("running"))),
        ("NOT running", Not(IsTrue(Column("running")))),
        ("speed is missing", Missing(SPEED)),
        ("speed is not missing", Not(Missing(SPEED))),
        ("state in ['run', 2, false]", Listed(STATE, ("run", 2.0, False))),
        ("state not in ['off']", Not(Listed(STATE, ("off",)))),
        (
            "a and b or not c and d",
            Joined("or", (
                Joined("and", (IsTrue(Column("a")), IsTrue(Column("b")))),
                Joined("and", (Not(IsTrue(Column("c"))), IsTrue(Column("d")))),
            )),
        ),
        ("(a or b) and c", Joined("and", (
            Joined("or", (IsTrue(Column("a")), IsTrue(Column("b")))), IsTrue(Column("c")),
        ))),
    ],
)  # fmt: skip
def test_what_is_read(text, read):
    assert parse_condition(text) == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "character 1: expected a number, a text"),
        ("speed >", "character 8: expected a number, not the end"),
        ("speed = 3", "character 7: '=' is not known; write =="),
        ("speed <> 3", "character 7: '<>' is not known; write !="),
        ("a && b", "character 3: '&&' is not known; write and"),
        ("1 < speed < 3", "character 11: compare two values at a time"),
        ("speed > 'x'", "character 9: expected a number: 'x' can only be compared by == and !="),
        ("true < speed", "character 1: expected a number: true can only be compared"),
        ("3 > 2", "character 1: expected the name of a column on one side of >"),
        ("(speed > 3", "character 11: expected ')', not the end"),
        ("speed > 3)", "character 10: expected `and`, `or` or the end, not ')'"),
        ("speed 3", "character 7: expected `and`, `or` or the end, not '3'"),
        ("state == 'run", "character 10: a ' is opened here and never closed"),
        (
            "speed - 3 > 0",
            "character 7: '-' is not known: a condition compares cells, without arithmetic",
        ),
        ("3pumps > 1", "character 1: expected a number; put names that begin with a digit"),
        ("state in []", "character 11: expected a number, a text in quotes"),
        ("state in [run]", "character 11: expected a number, a text in quotes"),
        ("speed is 3", "character 10: expected `missing`, not '3'"),
        ("not " * 60 + "a", "more than 50 levels of conditions"),
        ("(" * 5000, "a condition has at most 2000 characters"),
        ("__import__('os')", "character 11: expected `and`, `or` or the end, not '('"),
        ("speed; drop", "character 6: ';' is not known"),
    ],
)
def test_what_is_refused_says_where(text, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_condition(text)


@given(st.text(st.sampled_from("ab1.<>=!()[],'\"`-+& or and not in is missing true"), max_size=60))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        columns_of(parse_condition(text))


def test_columns_are_named_once():
    assert columns_of(parse_condition("a > 1 and (b == c or not a is missing)")) == ("a", "b", "c")


def test_a_margin_needs_what_it_begins_with():
    with pytest.raises(ValueError, match="settle: give only_when, too"):
        ColumnSettings(settle="5m")
    with pytest.raises(ValueError, match="wind_down: give only_when, too"):
        ColumnSettings(wind_down="5m")
    assert ColumnSettings(only_when="speed > 3", settle="5m").settle.total_seconds() == 300
