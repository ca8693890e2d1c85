"""Comments that name every word of a column."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

REASONS = (
    "no_time, time_out_of_range, no_key, {}changed_record (another record has its entity "
    "and key) or refused (by the database)"
)
COMMENTS = {
    ("rejected_records", "reason"): (REASONS.format(""), REASONS.format("key_too_long, ")),
    ("notifications", "event"): (
        "opened, escalated (a warning became critical) or resolved",
        "opened, escalated (a warning became critical), resolved, or backlog (a summary of many)",
    ),
    ("live_states", "state"): (
        "evidence of drift and counts of columns since that began to judge",
        "evidence of drift, counts of columns, the newest records since that began to judge",
    ),
}


def upgrade() -> None:
    _comment(1)


def downgrade() -> None:
    _comment(0)


def _comment(which: int) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite keeps none
    for (table, column), told in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{told[which]}'")
