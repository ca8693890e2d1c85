"""Finding the records that have a verdict already, at almost no cost for new records."""

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
"""Relative: scores are single-precision sums, whose order depends on the number of records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The newest verdict on a record, with the fields that a later verdict is compared with.

    A superseded verdict is the newest if retention has removed its successor. The record then
    counts as unknown, except for the number of its next revision.
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
        """Whether the verdict is not superseded."""
        return self.superseded_at is None

    def changed(self, event_time: datetime, record_hash: int | None) -> bool:
        """Return whether the record itself has changed; without a hash, only its time counts."""
        return self.event_time != event_time or (
            self.record_hash is not None and self.record_hash != record_hash
        )

    def differs(self, now: Mapping[str, Any], *, again: bool) -> bool:
        """Return whether a later verdict is a new revision.

        A record may change in values that are not judged. The same detector then gives the same
        verdict, which is not a new revision. With `again`, the verdict of another detector is.
        """
        if not again and not self.changed(now["event_time"], now["record_hash"]):
            return False
        if not _same_score(self.score, now["score"]):
            return True
        exact = [name for name in self.COMPARED if name not in ("record_hash", "score")]
        return any(getattr(self, name) != now[name] for name in exact)


def _same_score(was: float | None, now: float | None) -> bool:
    """Return whether two scores are equal; rounding depends on the records scored together."""
    if was is None or now is None:
        return was is now
    return isclose(was, now, rel_tol=ROUNDING)


def known_records(
    connection: sa.Connection, monitor: str, identities: Collection[Identity]
) -> dict[Identity, Known]:
    """Return the newest verdict of each record that has one, superseded verdicts included.

    Most records are new, and their keys are adjacent: counting keys are above all known keys. So
    one short query for any key between the smallest and the largest suffices for thousands. Keys of
    equal length are queried together, because their text order is their numeric order. Single keys
    are looked up only if the query finds a record.
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
    """Yield conditions that a record has one of these keys; together they cover all keys."""
    column = scores.c.record_key
    if connection.dialect.name == "postgresql":
        # The planner's statistics lag behind a growing table: it would read a whole table that was
        # small a minute ago. This setting makes it use the index until the transaction ends.
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        yield column == sa.any_(sa.bindparam(None, list(keys), postgresql.ARRAY(Identifier)))
        return
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield column.in_(keys[start : start + KEYS_AT_ONCE])
