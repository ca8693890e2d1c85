"""The largest exceedances of monitors and entities, by pieces of time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from aemon.records import Verdict
from aemon.store.page_queries.time_pieces import Pieces
from aemon.store.schema.tables import scores
from aemon.store.store import KEYS_AT_ONCE, Store


class PieceExceedance(NamedTuple):
    """The largest exceedance of a monitor or entity in a piece of time, and the flagged records."""

    name: str
    piece: int
    exceedance: float | None  # None if no record of the piece was judged
    flagged: int


def exceedances_of_monitors(
    store: Store, monitors: Sequence[str], pieces: Pieces
) -> list[PieceExceedance]:
    """Return the largest exceedance of each of these monitors in each piece that has records.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        return [
            found
            for start in range(0, len(monitors), KEYS_AT_ONCE)
            for found in _largest(
                connection,
                scores.c.monitor,
                scores.c.monitor.in_(monitors[start : start + KEYS_AT_ONCE]),
                pieces,
            )
        ]


def exceedances_of_entities(store: Store, monitor: str, pieces: Pieces) -> list[PieceExceedance]:
    """Return the largest exceedance of each entity of a monitor in each piece that has records.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        of = scores.c.monitor == monitor
        return list(_largest(connection, scores.c.entity, of, pieces))


def _largest(
    connection: sa.Connection,
    name: sa.ColumnElement[str],
    of: sa.ColumnElement[bool],
    pieces: Pieces,
) -> Iterator[PieceExceedance]:
    number = pieces.number_in_sql(connection, scores.c.event_time).label("piece")
    flagged = sa.func.sum(sa.case((scores.c.verdict == Verdict.ANOMALY, 1), else_=0))
    query = (
        sa.select(name, number, sa.func.max(scores.c.exceedance), flagged)
        .where(
            of,
            scores.c.event_time >= pieces.since,
            scores.c.event_time < pieces.until,
            scores.c.superseded_at.is_(None),
        )
        .group_by(name, number)
    )
    for one, piece, exceedance, count in connection.execute(query):
        yield PieceExceedance(one, int(piece), exceedance, int(count))
