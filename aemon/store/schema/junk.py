"""Values in the store that aemon did not write: told once, and read as if nothing were there."""

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


def tell_junk(what: str, value: object) -> None:
    """Log that a value is not what it should be.

    Args:
        what: what it should be, such as "a time".
        value: what it is.
    """
    _tell_once(what, printable(str(value))[:_LONGEST])


@lru_cache(maxsize=1_000)
def _tell_once(what: str, sample: str) -> None:
    told = f"the store holds {sample!r} where {what} is expected: it is passed over"
    log(logger, logging.WARNING, Action.STORE_JUNK, told)


def tell_gone(row: str) -> None:
    """Log that a row is gone that others refer to, and is made anew."""
    told = f"{row} is gone from the store, though other rows name it: it is made anew"
    log(logger, logging.WARNING, Action.STORE_JUNK, told)


def rate_of(stored: float) -> float:
    """Return a stored false-alarm rate, or the usual one where it is none."""
    if _LEAST_RATE <= stored < 1:
        return stored
    tell_junk("a false-alarm rate", stored)
    return _USUAL_RATE


def word_of(kind: type[Word], stored: str, instead: Word) -> Word:
    """Return a stored word of a vocabulary, or another one where it is none of it."""
    try:
        return kind(stored)
    except ValueError:
        tell_junk(f"one of {', '.join(kind)}", stored)
        return instead
