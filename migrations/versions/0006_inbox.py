"""The inbox of streams: entities of kept records, and the records that could not be kept."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSONB().with_variant(sa.Text(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IDENTIFIER = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
UNIQUE = "uq_history_monitor_record_key_entity"
UNIQUE_BEFORE = "uq_history_monitor_record_key"
COMMENT = (
    "the inbox: records of streams, which cannot be read twice, kept to judge and to learn from"
)
COMMENT_BEFORE = "records of sources that cannot be read twice, kept to learn from"
COVERAGE_COMMENT = (
    "by day: how the scoring runs ended and what became of every record the source returned"
)
COVERAGE = """
SELECT monitor, {day} AS day,
       count(*) AS runs,
       sum(CASE WHEN outcome IN ('ok', 'no_data') THEN 1 ELSE 0 END) AS runs_well,
       sum(CASE WHEN outcome = 'collecting' THEN 1 ELSE 0 END) AS runs_collecting,
       sum(CASE WHEN outcome IN ('failed', 'timed_out', 'abandoned') THEN 1 ELSE 0 END)
           AS runs_failed,
       sum(CASE WHEN outcome IN ('misfired', 'skipped') THEN 1 ELSE 0 END) AS runs_missed,
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read END) AS records_read,
       sum(records_scored) AS records_scored,
       sum(records_revised) AS records_revised,
       sum(records_rejected) AS records_rejected,
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read - records_rejected END)
           - sum(records_scored + records_revised) AS records_unaccounted,
       sum(records_absent) AS records_absent,
       sum(records_late) AS records_late,
       sum(records_too_late) AS records_too_late,
       sum(records_reviewed) AS records_reviewed,
       sum(anomalies) AS anomalies,
       sum(records_suppressed) AS records_suppressed
FROM runs
WHERE job = 'score'
GROUP BY monitor, {day}
"""
DAYS = {
    "sqlite": "substr(started_at, 1, 10)",
    "postgresql": "to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def upgrade() -> None:
    if _postgresql():
        op.add_column("history", _entity())
        op.drop_constraint(UNIQUE_BEFORE, "history")
        op.create_unique_constraint(UNIQUE, "history", ["monitor", "record_key", "entity"])
        op.create_table_comment("history", COMMENT, existing_comment=COMMENT_BEFORE)
    else:
        _remake_history("id, monitor, record_key, event_time, record", with_entity=True)
    op.create_index("ix_history_monitor_id", "history", ["monitor", "id"])
    op.create_table(
        "rejected_records",
        sa.Column("id", WHOLE, nullable=False, comment="order of arrival"),
        sa.Column("monitor", sa.Text, nullable=False, comment="the monitor's name"),
        sa.Column("received_at", TIME, nullable=False, comment="when it was to be kept"),
        sa.Column(
            "reason",
            sa.Text,
            nullable=False,
            comment="no_time, time_out_of_range, no_key, changed_record (another record has its entity "
            "and key) or refused (by the database)",
        ),
        sa.Column(
            "record",
            sa.Text,
            nullable=False,
            comment="the record as JSON, cut off where it is very long",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rejected_records"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_rejected_records_monitor"),
        comment="records of streams that could not be kept, and why; the newest of every monitor",
        sqlite_strict=True,
    )
    op.create_index("ix_rejected_records_monitor_id", "rejected_records", ["monitor", "id"])
    _make_coverage(COVERAGE.format(day=DAYS[op.get_bind().dialect.name]))


def downgrade() -> None:
    (before,) = (
        view for view in context.script.get_revision("0004").module.VIEWS if view[0] == "coverage"
    )
    _make_coverage(before[2].replace("{day(started_at)}", DAYS[op.get_bind().dialect.name]))
    op.drop_table("rejected_records")
    # 0005 knows no entities: they become part of the keys, so that no record is lost. Where that
    # key is taken, the newer record stays.
    key = (
        "CASE WHEN {0}.entity = '' THEN {0}.record_key ELSE {0}.entity || '/' || {0}.record_key END"
    )
    op.execute(
        "DELETE FROM history WHERE EXISTS (SELECT 1 FROM history newer"
        " WHERE newer.monitor = history.monitor AND newer.id > history.id"
        f" AND {key.format('newer')} = {key.format('history')})"
    )
    op.drop_index("ix_history_monitor_id", "history")
    if _postgresql():
        op.drop_constraint(UNIQUE, "history")
        op.execute(f"UPDATE history SET record_key = {key.format('history')} WHERE entity <> ''")
        op.drop_column("history", "entity")
        op.create_unique_constraint(UNIQUE_BEFORE, "history", ["monitor", "record_key"])
        op.create_table_comment("history", COMMENT_BEFORE, existing_comment=COMMENT)
    else:
        _remake_history(
            f"id, monitor, {key.format('kept_history')}, event_time, record", with_entity=False
        )


def _postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _entity() -> sa.Column[Any]:
    return sa.Column(
        "entity",
        IDENTIFIER,
        nullable=False,
        comment="the thing the record belongs to; empty if none",
        server_default="",
    )


def _remake_history(selected: str, *, with_entity: bool) -> None:
    """Make the table anew with its rows, for SQLite, which changes no constraint in place."""
    op.execute("CREATE TEMPORARY TABLE kept_history AS SELECT * FROM history")
    op.drop_table("history")
    unique = ["monitor", "record_key", "entity"] if with_entity else ["monitor", "record_key"]
    op.create_table(
        "history",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("monitor", sa.Text, nullable=False),
        *([_entity()] if with_entity else []),
        sa.Column("record_key", sa.Text, nullable=False),
        sa.Column("event_time", TIME, nullable=False),
        sa.Column("record", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_history_monitor"),
        sa.UniqueConstraint(*unique, name=UNIQUE if with_entity else UNIQUE_BEFORE),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO history (id, monitor, record_key, event_time, record)"
        f" SELECT {selected} FROM kept_history ORDER BY id"
    )
    op.execute("DROP TABLE kept_history")


def _make_coverage(select: str) -> None:
    op.execute("DROP VIEW coverage")
    op.execute(sa.text(f"CREATE VIEW coverage AS {select}"))
    if _postgresql():
        op.execute(f"COMMENT ON VIEW coverage IS '{COVERAGE_COMMENT}'")
