"""Invalid values in the store that aemon did not write: logging, and replacement by defaults."""

import logging
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from aemon.frame import printable
from aemon.logs import Action, log

Word = TypeVar("Word", bound=StrEnum)

_LEAST_RATE, _USUAL_RATE = 1e-9, 0.001
_LONGEST = 60  # characters of an invalid value that are logged

logger = logging.getLogger(__name__)


def log_junk(what: str, value: object) -> None:
    """Log that a stored value is invalid; log the same value only once.

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
    """Log that a needed row is missing in the store and is created again.

    Args:
        row: description of the row, such as "the row pump of `monitors`".
    """
    text = f"{row} is missing in the store, though other rows refer to it: it is created again"
    log(logger, logging.WARNING, Action.STORE_JUNK, text)


def rate_of(stored: float) -> float:
    """Return a stored false-alarm rate; return the default rate if the value is not a rate."""
    if _LEAST_RATE <= stored < 1:
        return stored
    log_junk("a false-alarm rate", stored)
    return _USUAL_RATE


def word_of(kind: type[Word], stored: str, instead: Word) -> Word:
    """Return a stored word as a member of an enumeration.

    Args:
        kind: the enumeration.
        stored: the stored word.
        instead: the member to return if the word is not in the enumeration.
    """
    try:
        return kind(stored)
    except ValueError:
        log_junk(f"one of {', '.join(kind)}", stored)
        return instead
