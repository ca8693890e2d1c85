"""Notes of streams, by which records delivered again after a restart are recognised."""

import sqlalchemy as sa

from aemon.store.inbox.rejected_records import beyond_newest
from aemon.store.schema.tables import stream_notes
from aemon.store.store import Store

MOST_NOTES = 30
"""Kept for each monitor: there is one a second, or one for a thousand messages if they are faster.
An acknowledgement that has not arrived by then never will: the connection is given up before."""


def keep_note(connection: sa.Connection, store: Store, monitor: str, note: str) -> None:
    """Append a note of a monitor's stream, and drop all but the newest."""
    row = {"monitor": monitor, "noted_at": store.now(), "note": note}
    connection.execute(sa.insert(stream_notes), [row])
    connection.execute(
        sa.delete(stream_notes).where(
            stream_notes.c.monitor == monitor, beyond_newest(stream_notes, monitor, MOST_NOTES)
        )
    )


def notes_of(store: Store, monitor: str) -> list[str]:
    """Return the notes of a monitor's stream, oldest first.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(stream_notes.c.note)
        .where(stream_notes.c.monitor == monitor)
        .order_by(stream_notes.c.id)
    )
    with store.reading() as connection:
        return list(connection.execute(query).scalars())
