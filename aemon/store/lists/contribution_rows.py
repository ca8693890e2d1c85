"""The columns that explain the records that are flagged now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

import sqlalchemy as sa

from aemon.store.lists.narrowing import Narrowed, narrowed, of_monitors
from aemon.store.schema.tables import anomalies, contributions, scores
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Contribution:
    """The contribution of one column to one flagged or suppressed record.

    Attributes:
        rank: 1 is the column with the largest share.
        observed: value of the column, as text.
        expected: value that was expected, as text.
        error: squared difference from the expected value, relative to usual differences.
        share: share of the explanation; the shares of a record sum to 1.
        episode: number of the record's episode; None if the record belongs to no episode.
    """

    monitor: str
    entity: str
    record_key: str
    event_time: datetime
    rank: int
    column: str
    observed: str | None
    expected: str | None
    error: float
    share: float
    episode: int | None


CONTRIBUTION_KEY = (
    anomalies.c.event_time,
    anomalies.c.monitor,
    anomalies.c.record_key,
    anomalies.c.entity,
    -contributions.c.rank,
)
_SAME = ("monitor", "record_key", "entity", "revision")


def contribution_rows(
    store: Store,
    monitors: Collection[str],
    *,
    limit: int,
    episode: int | None = None,
    **wanted: Unpack[Narrowed],
) -> list[Contribution]:
    """Return at most `limit` contributions to records that are flagged now, newest record first.

    Args:
        store: the store.
        monitors: names of the monitors.
        limit: the largest number of contributions.
        episode: only records of this episode; None for all records.
        wanted: more conditions; the times are event times.

    Raises:
        StoreError: the database fails.
    """
    own = contributions.c
    query = (
        sa.select(
            *(anomalies.c[name] for name in ("monitor", "entity", "record_key", "event_time")),
            own.rank,
            own.feature.label("column"),
            own.observed_text.label("observed"),
            own.reconstructed_text.label("expected"),
            own.error,
            own.share,
            anomalies.c.episode_id.label("episode"),
        )
        .join(scores, sa.and_(*(
            anomalies.c[name] == scores.c[name] for name in (*_SAME, "event_time")
        ), scores.c.superseded_at.is_(None)))
        .join(contributions, sa.and_(*(anomalies.c[name] == own[name] for name in _SAME)))
        .where(
            of_monitors(anomalies.c.monitor, monitors),
            *narrowed(anomalies, CONTRIBUTION_KEY, wanted),
        )
        .order_by(*(column.desc() for column in CONTRIBUTION_KEY))
        .limit(limit)
    )  # fmt: skip
    if episode is not None:
        query = query.where(anomalies.c.episode_id == episode)
    with store.reading() as connection:
        return [Contribution(**row) for row in connection.execute(query).mappings()]
