"""Types of values in a configuration: sizes, budgets, files and addresses to listen on."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from aemon.clock import shortened


class Settings(BaseModel):
    """The base of all settings: frozen, no unknown keys, no secrets in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, given: Any) -> Any:
        """Raise an error for true or false as a number: pydantic would read YAML's `yes` as 1."""
        for key, value in given.items() if isinstance(given, dict) else ():
            field = cls.model_fields.get(str(key))
            if field is not None and isinstance(value, bool):
                for number, words in (int, "a whole number"), (float, "a number"):
                    if field.annotation in (number, number | None):
                        raise AtKeyError(key, f"must be {words}")
        return given


def given(key: str, kind: str) -> dict[str, Any]:
    """Return a part of a JSON Schema that requires a key with a value of type `kind`."""
    return {"required": [key], "properties": {key: {"type": kind}}}


class AtKeyError(ValueError):
    """A problem with a key of some settings, or with a key deeper inside the settings."""

    def __init__(self, key: str | tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = (key,) if isinstance(key, str) else key


_REFERENCE = r"\$\{"  # text with ${NAME} or ${file:PATH} is checked after it is replaced
NOT_ZERO = "(?=.*[1-9])"  # requires a digit from 1 to 9


def pattern_of(pattern: str) -> str:
    """Return a JSON Schema pattern for a whole text, which also allows references."""
    return rf"^(?:{pattern})$|{_REFERENCE}"


MOST = 1_000_000_000
"""The largest number that a setting accepts for records, steps or similar counts."""

MOST_BYTES = 10**15
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB)")
_BYTES = {"MB": 10**6, "GB": 10**9}


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_BYTES:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not 0 < float(match[1]) * _BYTES[match[2]] <= MOST_BYTES:
        raise ValueError("write a size with its unit, for example 500MB or 4GB; 1000000GB at most")
    return round(float(match[1]) * _BYTES[match[2]])


def _size_text(value: int) -> str:
    unit = "GB" if value >= _BYTES["GB"] else "MB"
    return f"{value / _BYTES[unit]:g}{unit}"


Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(_size_text, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["4GB"],
            "pattern": pattern_of(rf"{NOT_ZERO}\s*{_SIZE.pattern}\s*"),
        }
    ),
]
"""Bytes, written with a unit: `4GB`."""


_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(hour|day|week)")
_PER_DAY = {"hour": 24.0, "day": 1.0, "week": 1 / 7}
LEAST_A_DAY, MOST_A_DAY = 1e-4, 1e9  # one alarm in thirty years; more than all records


def alarms_per_day(budget: str) -> float:
    """Return the number of alarms per day that an alarm budget such as `3/day` allows.

    >>> alarms_per_day("14/week")
    2.0

    Raises:
        ValueError: the text is not an alarm budget.
    """
    match = _BUDGET.fullmatch(budget.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(
            f"{shortened(budget)} is not an alarm budget; write for example 3/day, 1/hour, 5/week"
        )
    a_day = float(match[1]) * _PER_DAY[match[2]]
    if not LEAST_A_DAY <= a_day <= MOST_A_DAY:
        raise ValueError(
            f"{shortened(budget)} is not an alarm budget: {LEAST_A_DAY:g}/day at least, and "
            f"{MOST_A_DAY:g}/day at most"
        )
    return a_day


def _check_budget(text: str) -> str:
    alarms_per_day(text)
    return text


AlarmBudget = Annotated[
    str,
    AfterValidator(_check_budget),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["3/day"],
            "pattern": pattern_of(rf"{NOT_ZERO}\s*{_BUDGET.pattern}\s*"),
        }
    ),
]
"""The number of normal records that may be flagged in a period: `3/day`."""


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


FileBeside = Annotated[Path, AfterValidator(_from_folder)]
"""A file; a relative path starts at the folder of the file with the setting."""


def _check_listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    digits = port.isascii() and port.isdigit()
    if not colon or not host or not digits or int(port) > 65535:  # noqa: PLR2004 -- highest port
        raise ValueError(f"{text!r} is not an address; write for example 127.0.0.1:9464")
    return text


_PORT = "0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

Listen = Annotated[
    str,
    AfterValidator(_check_listen),
    WithJsonSchema(
        {"type": "string", "examples": ["127.0.0.1:9464"], "pattern": pattern_of(rf".+:{_PORT}")}
    ),
]
"""`host:port`; port 0 selects a free port."""
