"""The tables of the inbox: kept, unfinished and rejected records of streams, and stream notes."""

import sqlalchemy as sa

from aemon.store.schema.column_types import Identifier, Json, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, table

history = table(
    "history",
    column("id", Whole, "order of arrival", primary_key=True),
    monitor(of_monitors()),
    column(
        "entity",
        Identifier,
        "the thing the record belongs to; empty if none",
        server_default="",
    ),
    column("record_key", sa.Text, "the record's key"),
    column("event_time", UtcTime, "when the record happened"),
    column("record", Json, "its columns and values"),
    sa.UniqueConstraint("monitor", "record_key", "entity"),
    sa.Index(None, "monitor", "id"),
    comment="the inbox: records of streams, which cannot be read twice, kept for scoring and training",
)

rejected_records = table(
    "rejected_records",
    column("id", Whole, "order of arrival", primary_key=True),
    monitor(of_monitors()),
    column("received_at", UtcTime, "when it was rejected"),
    column(
        "reason",
        sa.Text,
        "no_time, time_out_of_range, no_key, key_too_long, changed_record (another record has its entity "
        "and key), refused (by the database) or why a message could not be read",
    ),
    column("record", sa.Text, "the record as JSON, cut off where it is very long"),
    sa.Index(None, "monitor", "id"),
    comment="records that could not be judged, with the reason; the newest of each monitor",
)

unfinished_records = table(
    "unfinished_records",
    monitor(of_monitors(), primary_key=True),
    column("record_key", Identifier, "the record's key", primary_key=True),
    column(
        "entity", Identifier, "the thing the record belongs to; empty if none", primary_key=True
    ),
    column("event_time", UtcTime, "when the record happened"),
    column("received_at", UtcTime, "when the first of its values arrived"),
    column("record", Json, "the columns and values that have arrived so far"),
    sa.Index(None, "monitor", "received_at"),
    comment="records of streams that are still being joined from values that arrive one by one",
)

stream_notes = table(
    "stream_notes",
    column("id", Whole, "order of arrival", primary_key=True),
    monitor(of_monitors()),
    column("noted_at", UtcTime, "when it was stored"),
    column(
        "note", sa.Text, "what the stream must remember about the records it delivered, as JSON"
    ),
    sa.Index(None, "monitor", "id"),
    comment="notes by which streams recognise repeated messages after a restart; the newest of each monitor",
)
