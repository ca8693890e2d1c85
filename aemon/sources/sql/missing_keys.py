"""Keys of a sequence that are missing below the newest key: their rows may still be committed."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aemon.sources.sql.position import (
    GIVEN_UP,
    MISSING,
    NEWEST_KEY,
    UNORDERED,
    newest_key_of,
    whole,
    write_value,
)

if TYPE_CHECKING:
    import pandas as pd

Missing = list[tuple[int, int, str]]
"""Ranges of missing keys: first key, last key, and time of discovery (ISO 8601, UTC)."""

LOOKED_FOR = timedelta(minutes=10)  # longer transactions are rare; their keys count as given up
WIDEST = 1_000  # keys; a wider gap shows a sequence that was moved on, or keys without a sequence
MOST_RANGES = 100  # the newest ranges are kept; one query asks for all ranges
_LEAST_ROWS = 20  # fewer rows do not show whether keys grow
_MOST_BELOW = 0.2  # share of rows; if more keys are below an earlier key, keys are not a sequence


def note_missing(known: Missing, keys: Iterable[int], before: int, now: datetime) -> Missing:
    """Return the known ranges, and new ranges for gaps in newly read keys after key `before`.

    >>> note_missing([], [402, 405], 400, datetime(2026, 1, 1))
    [(401, 401, '2026-01-01T00:00:00'), (403, 404, '2026-01-01T00:00:00')]
    """
    found, last = list(known), before
    for key in sorted(set(keys)):
        if key > last + 1:
            found.append((last + 1, key - 1, now.isoformat()))
        last = max(last, key)
    return found[-MOST_RANGES:]


def without(known: Missing, keys: Iterable[int]) -> Missing:
    """Return the ranges of missing keys without the keys that were found.

    >>> without([(401, 405, "")], [403])
    [(401, 402, ''), (404, 405, '')]
    """
    if not known:
        return []
    ranges = list(known)
    lowest, highest = min(low for low, _, _ in known), max(high for _, high, _ in known)
    for key in {key for key in keys if lowest <= key <= highest}:
        for at, (low, high, noticed) in enumerate(ranges):
            if low <= key <= high:
                parts = [(low, key - 1, noticed), (key + 1, high, noticed)]
                ranges[at : at + 1] = [part for part in parts if part[0] <= part[1]]
                break
    return ranges[-MOST_RANGES:]


def still_looked_for(known: Missing, now: datetime) -> Missing:
    """Return the ranges that were noticed at most `LOOKED_FOR` ago."""
    since = (now - LOOKED_FOR).isoformat()
    return [part for part in known if part[2] >= since]


def given_up(before: Missing, after: Missing) -> int:
    """Count the keys that are no longer looked for.

    A range of more than `WIDEST` keys is not counted, because no rows ever had these keys.

    >>> given_up([(401, 405, ""), (500, 10**9, ""), (10**9 + 2, 10**9 + 2, "")], [(10**9 + 2, 10**9 + 2, "")])
    5
    """
    kept = {(low, high) for low, high, _ in after}
    gone = [(low, high) for low, high, _ in before if (low, high) not in kept]
    return sum(high - low + 1 for low, high in gone if high - low < WIDEST)


def grow(keys: "pd.Series[Any]", before: int | None) -> bool:
    """Return whether integer keys grow in the order of time and have no duplicates.

    Fewer than `_LEAST_ROWS` keys without duplicates count as growing.
    """
    if keys.duplicated().any():
        return False
    if len(keys) < _LEAST_ROWS:
        return True
    top = keys.cummax().shift(fill_value=before if before is not None else keys.iloc[0])
    below = keys < top.clip(lower=before)
    return bool(below.mean() <= _MOST_BELOW)


def _follow(keys: "pd.Series[Any]", before: int | None) -> bool:
    """Return whether each key is the previous key plus 1: no further check is then needed."""
    steps = keys.diff()
    return before is not None and bool(keys.iloc[0] == before + 1 and (steps.iloc[1:] == 1).all())


def about_keys(
    keys: "pd.Series[Any]", was: Mapping[str, Any], now: datetime | None, *, sequence: bool
) -> dict[str, Any]:
    """Return the part of a position for integer keys: newest key, and missing keys below.

    Args:
        keys: keys of the rows read last, in the order of time.
        was: the previous position.
        now: the current time. None if this read did not reach the last row; new missing keys are
            then not noted, because rows that are read later may have these keys.
        sequence: whether the keys can be a sequence.
    """
    before = was.get(NEWEST_KEY)
    newest_key = newest_key_of(keys, before)
    if newest_key is None:
        return {}
    about: dict[str, Any] = {NEWEST_KEY: write_value(newest_key)}
    if sequence and not was.get(UNORDERED) and not was.get(MISSING) and _follow(keys, before):
        return about
    read = whole(keys)
    if was.get(UNORDERED) or not (sequence and read and grow(keys, before)):
        return {**about, UNORDERED: True}
    missing = without(was.get(MISSING, []), read)
    if before is not None and now is not None:
        new = [key for key in read if key > before]
        known, missing = missing, still_looked_for(missing, now)
        gone = given_up(known, missing)
        if gone:
            about[GIVEN_UP] = write_value(was.get(GIVEN_UP, 0) + gone)
        missing = note_missing(missing, new, before, now)
    return {**about, MISSING: missing} if missing else about
