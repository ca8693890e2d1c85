"""Notes of streams, used to recognise records that are delivered again after a restart."""

import sqlalchemy as sa

from aemon.store.inbox.rejected_records import beyond_newest
from aemon.store.schema.tables import stream_notes
from aemon.store.store import Store

MOST_NOTES = 30
"""The number of notes that are kept for each monitor. A stream makes one note a second, or one note
for every thousand messages if more than a thousand messages arrive in a second. Older
notes are not needed: by then, aemon has given up each connection on which an acknowledgement is
still missing."""


def keep_note(connection: sa.Connection, store: Store, monitor: str, note: str) -> None:
    """Store a note of a monitor's stream; keep only the newest `MOST_NOTES` notes."""
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
