"""Invalid values in the store that aemon did not write: logged once, and read as absent."""

import logging
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from aemon.frame import printable
from aemon.logs import Action, log

Word = TypeVar("Word", bound=StrEnum)

_LEAST_RATE, _USUAL_RATE = 1e-9, 0.001
_LONGEST = 60  # characters of such a value in the log

logger = logging.getLogger(__name__)


def log_junk(what: str, value: object) -> None:
    """Log that a stored value is invalid, once for each value.

    Args:
        what: the expected kind of value, such as "a time".
        value: the stored value.
    """
    _log_once(what, printable(str(value))[:_LONGEST])


@lru_cache(maxsize=1_000)
def _log_once(what: str, sample: str) -> None:
    text = f"the store holds {sample!r} where {what} is expected: the value is ignored"
    log(logger, logging.WARNING, Action.STORE_JUNK, text)


def log_missing(row: str) -> None:
    """Log that a row that other rows refer to is missing, and is created again."""
    text = f"{row} is missing in the store, though other rows refer to it: it is created again"
    log(logger, logging.WARNING, Action.STORE_JUNK, text)


def rate_of(stored: float) -> float:
    """Return a stored false-alarm rate, or the usual rate if the value is not a rate."""
    if _LEAST_RATE <= stored < 1:
        return stored
    log_junk("a false-alarm rate", stored)
    return _USUAL_RATE


def word_of(kind: type[Word], stored: str, instead: Word) -> Word:
    """Return a stored word as a member of `kind`, or `instead` if `kind` does not have it."""
    try:
        return kind(stored)
    except ValueError:
        log_junk(f"one of {', '.join(kind)}", stored)
        return instead
