"""Values in the store that aemon did not write: told once, and read as if nothing were there."""

import logging
from functools import lru_cache

from aemon.frame import printable
from aemon.logs import Action, log

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
