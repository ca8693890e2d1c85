"""The findings of `aemon doctor`: level, text, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The level of a finding."""

    OK = "ok"
    WARNING = "warning"  # something may fail, or waits for a person
    ERROR = "error"  # something does not work


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A finding of a check.

    Attributes:
        check: the name of the check.
        level: how bad the finding is.
        what: the finding, as a sentence.
        todo: what to do about the finding; empty if nothing needs to be done.
    """

    check: str
    level: Level
    what: str
    todo: str = ""


def ok(check: str, what: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(check=check, level=Level.OK, what=what)


def warning(check: str, what: str, todo: str) -> Finding:
    """Return a finding about something that may fail, or that waits for a person."""
    return Finding(check=check, level=Level.WARNING, what=what, todo=todo)


def error(check: str, what: str, todo: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(check=check, level=Level.ERROR, what=what, todo=todo)
