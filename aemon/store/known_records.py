"""Finds records that already have a verdict; the search is cheap if most records are new."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isclose
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aemon.records import Identity
from aemon.store.schema.column_types import Identifier
from aemon.store.schema.tables import scores
from aemon.store.store import KEYS_AT_ONCE

ROUNDING = 1e-5
"""The largest relative difference of equal scores. Scores are sums in single precision, and the
order of the sum depends on the number of records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The newest stored verdict on a record, with the fields for the comparison with a new verdict.

    If retention has removed the newest verdict, the newest stored verdict is a superseded verdict.
    The record then counts as unknown, but its next revision still gets the next number.
    """

    COMPARED: ClassVar = (
        "event_time", "record_hash", "verdict", "score", "detector_id", "threshold_id",
    )  # fmt: skip

    revision: int
    event_time: datetime
    record_hash: int | None
    verdict: str
    score: float | None
    detector_id: int
    threshold_id: int
    late: bool
    superseded_at: datetime | None

    @property
    def is_current(self) -> bool:
        """Whether the verdict is valid: no newer revision has superseded the verdict."""
        return self.superseded_at is None

    def changed(self, event_time: datetime, record_hash: int | None) -> bool:
        """Return whether the event time or the values of a record differ from the stored record.

        Values are compared by hash. If no hash is stored, only the event time is compared.
        """
        return self.event_time != event_time or (
            self.record_hash is not None and self.record_hash != record_hash
        )

    def differs(self, now: Mapping[str, Any], *, again: bool) -> bool:
        """Return whether a later verdict on the record must be stored as a new revision.

        If only values that are not judged have changed, the same detector gives the same verdict,
        and no new revision is needed.

        Args:
            now: the fields `COMPARED` of the later verdict.
            again: True if the record was judged again on purpose. A verdict of another detector or
                threshold is then a new revision, even if the record has not changed.
        """
        if not again and not self.changed(now["event_time"], now["record_hash"]):
            return False
        if not _same_score(self.score, now["score"]):
            return True
        exact = [name for name in self.COMPARED if name not in ("record_hash", "score")]
        return any(getattr(self, name) != now[name] for name in exact)


def _same_score(was: float | None, now: float | None) -> bool:
    """Return whether two scores are equal, apart from rounding (relative, `ROUNDING`)."""
    if was is None or now is None:
        return was is now
    return isclose(was, now, rel_tol=ROUNDING)


def known_records(
    connection: sa.Connection, monitor: str, identities: Collection[Identity]
) -> dict[Identity, Known]:
    """Return (entity, record key) -> newest stored verdict; leave out records without a verdict.

    Superseded verdicts are included.

    Most records are new. New keys are often adjacent numbers, larger than all known keys. Therefore
    one short query first asks whether any known key is between the smallest and the largest key.
    The single keys are looked up only if this query finds a record. Keys of equal length are
    queried together, because their text order is then their numeric order.
    """
    found: dict[Identity, Known] = {}
    by_length: dict[int, list[str]] = {}
    for _, key in identities:
        by_length.setdefault(len(key), []).append(key)
    for length, keys in by_length.items():
        if _any_between(connection, monitor, min(keys), max(keys), length):
            found.update(_looked_up(connection, monitor, list(dict.fromkeys(keys))))
    requested = set(identities) if found else set()
    return {identity: known for identity, known in found.items() if identity in requested}


def _any_between(connection: sa.Connection, monitor: str, low: str, high: str, length: int) -> bool:
    query = (
        sa.select(sa.literal(1))
        .where(
            scores.c.monitor == monitor,
            scores.c.record_key >= low,
            scores.c.record_key <= high,
            sa.func.length(scores.c.record_key) == length,
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _looked_up(
    connection: sa.Connection, monitor: str, keys: Sequence[str]
) -> dict[Identity, Known]:
    names = [field for field in Known.__slots__ if field != "COMPARED"]
    query = sa.select(
        scores.c.entity, scores.c.record_key, *(scores.c[name] for name in names)
    ).where(scores.c.monitor == monitor)
    found: dict[Identity, Known] = {}
    for some in _among(connection, keys):
        for entity, key, *values in connection.execute(query.where(some)):
            known = Known(**dict(zip(names, values, strict=True)))
            if known.revision >= found.get((entity, key), known).revision:
                found[(entity, key)] = known
    return found


def _among(connection: sa.Connection, keys: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Yield conditions that a record has one of these keys, one condition for each query.

    PostgreSQL gets one condition for all keys. SQLite gets one condition for each `KEYS_AT_ONCE`
    keys.
    """
    column = scores.c.record_key
    if connection.dialect.name == "postgresql":
        # The planner's statistics of a growing table are old: PostgreSQL would read the whole table
        # because the table was small a minute ago. With this setting, PostgreSQL uses the index
        # until the transaction ends.
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        yield column == sa.any_(sa.bindparam(None, list(keys), postgresql.ARRAY(Identifier)))
        return
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield column.in_(keys[start : start + KEYS_AT_ONCE])
