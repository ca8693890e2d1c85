"""The largest exceedances of many monitors, by pieces of time."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from aemon.store.page_queries.name_lists import is_among
from aemon.store.page_queries.time_pieces import Pieces
from aemon.store.schema.tables import scores
from aemon.store.store import Store


class PieceExceedance(NamedTuple):
    """The largest exceedance of a monitor in a piece of time; None if no record was judged."""

    monitor: str
    piece: int
    exceedance: float | None


def exceedances(store: Store, monitors: Sequence[str], pieces: Pieces) -> list[PieceExceedance]:
    """Return the largest exceedance of each of these monitors in each piece that has records.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        number = pieces.number_in_sql(connection, scores.c.event_time).label("piece")
        query = (
            sa.select(scores.c.monitor, number, sa.func.max(scores.c.exceedance))
            .where(
                is_among(connection, scores.c.monitor, monitors),
                scores.c.event_time >= pieces.since,
                scores.c.event_time < pieces.until,
                scores.c.superseded_at.is_(None),
            )
            .group_by(scores.c.monitor, number)
        )
        rows = connection.execute(query)
        return [PieceExceedance(name, int(piece), value) for name, piece, value in rows]
