"""Records of streams that are joined from single values, and what streams must know of a restart."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSONB().with_variant(sa.Text(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IDENTIFIER = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

REASONS = (
    "no_time, time_out_of_range, no_key, key_too_long, changed_record (another record has its entity "
    "and key){}"
)
COMMENTS = (
    REASONS.format(" or refused (by the database)"),
    REASONS.format(", refused (by the database) or why a message could not be read"),
)


def upgrade() -> None:
    op.create_table(
        "unfinished_records",
        _column("monitor", sa.Text, "the monitor's name"),
        _column("record_key", IDENTIFIER, "the record's key"),
        _column("entity", IDENTIFIER, "the thing the record belongs to; empty if none"),
        _column("event_time", TIME, "when the record happened"),
        _column("received_at", TIME, "when the first of its values came"),
        _column("record", JSON, "the columns and values that have come so far"),
        sa.PrimaryKeyConstraint("monitor", "record_key", "entity", name="pk_unfinished_records"),
        sa.ForeignKeyConstraint(
            ["monitor"], ["monitors.name"], name="fk_unfinished_records_monitor"
        ),
        comment="records of streams that are still joined from values that come one by one",
        sqlite_strict=True,
    )
    op.create_index(
        "ix_unfinished_records_monitor_received_at",
        "unfinished_records",
        ["monitor", "received_at"],
    )
    op.create_table(
        "stream_notes",
        _column("id", WHOLE, "order of arrival"),
        _column("monitor", sa.Text, "the monitor's name"),
        _column("noted_at", TIME, "when it was kept"),
        _column("note", sa.Text, "what the stream must know of what it handed over, as JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_stream_notes"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_stream_notes_monitor"),
        comment="by which streams know what comes again after a restart; the newest of every monitor",
        sqlite_strict=True,
    )
    op.create_index("ix_stream_notes_monitor_id", "stream_notes", ["monitor", "id"])
    _comment(1)


def downgrade() -> None:
    op.drop_table("stream_notes")
    op.drop_table("unfinished_records")
    _comment(0)


def _column(name: str, kind: Any, comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)


def _comment(which: int) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps none
        op.execute(f"COMMENT ON COLUMN rejected_records.reason IS '{COMMENTS[which]}'")
