"""What `aemon doctor` finds: how bad it is, what it is, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"  # something may go wrong, or waits for a person
    ERROR = "error"  # something does not work


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check has found; `todo` says what to do about it."""

    check: str
    level: Level
    what: str
    todo: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, what=what)


def warning(check: str, what: str, todo: str) -> Finding:
    """Something may go wrong."""
    return Finding(check=check, level=Level.WARNING, what=what, todo=todo)


def error(check: str, what: str, todo: str) -> Finding:
    """Something does not work."""
    return Finding(check=check, level=Level.ERROR, what=what, todo=todo)
