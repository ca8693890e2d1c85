"""Records of sources that cannot be read twice: kept in order of arrival, to judge and to learn."""

from collections.abc import Sequence

import sqlalchemy as sa

from aemon.store.schema.tables import history, watermarks
from aemon.store.store import Row, Store


def keep_history(store: Store, monitor: str, rows: Sequence[Row], keep: int) -> None:
    """Append records to a monitor's history and drop all but the newest `keep`.

    Once there is a watermark, no record is dropped that lies after it.

    Raises:
        StoreError: the database fails; nothing is then kept or dropped.
    """
    if not rows:
        return
    mine = history.c.monitor == monitor
    oldest_kept = sa.select(history.c.id).where(mine).order_by(history.c.id.desc()).offset(keep)
    watermark = sa.select(watermarks.c.position).where(watermarks.c.monitor == monitor)
    with store.writing() as connection:
        connection.execute(
            store.insert_or_ignore(history), [{"monitor": monitor, **row} for row in rows]
        )
        old = [mine, history.c.id <= oldest_kept.limit(1).scalar_subquery()]
        position = connection.execute(watermark).scalar()
        if position:
            old.append(history.c.id <= int(position))
        connection.execute(sa.delete(history).where(*old))


def history_records(
    store: Store,
    monitor: str,
    *,
    after: int = 0,
    until: int | None = None,
    limit: int,
    newest: bool = False,
) -> list[Row]:
    """Kept records in order of arrival: the first `limit` after an id, or the newest of them.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(history.c.id, history.c.record_key, history.c.event_time, history.c.record)
        .where(history.c.monitor == monitor, history.c.id > after)
        .order_by(history.c.id.desc() if newest else history.c.id)
        .limit(limit)
    )
    if until is not None:
        query = query.where(history.c.id <= until)
    with store.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows[::-1] if newest else rows


def history_count(store: Store, monitor: str) -> int:
    """How many records a monitor's history keeps.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(sa.func.count()).select_from(history).where(history.c.monitor == monitor)
    with store.reading() as connection:
        return connection.execute(query).scalar_one()
