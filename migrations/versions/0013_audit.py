"""The audit: every change by a person or program; and who gave feedback, snoozed, acknowledged."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSONB().with_variant(sa.Text(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

AUTHORS = (
    ("feedback", "author", "who gave it; empty if unknown"),
    ("snoozes", "author", "who entered it; empty if unknown"),
    ("episodes", "acknowledged_by", "who acknowledged it; empty if unknown"),
)


def upgrade() -> None:
    op.create_table(
        "audit",
        _column("id", WHOLE, "order of the changes"),
        _column("at", TIME, "when the change was made"),
        _column("who", sa.Text, "name of the user or token; empty if unknown"),
        _column("origin", sa.Text, "by which way: api, page, or cli for the command line"),
        _column("address", sa.Text, "network address of the client; empty for the command line"),
        _column("action", sa.Text, "what was done, such as feedback or acknowledge"),
        _column("monitor", sa.Text, "the monitor's name; empty if it concerns no single monitor"),
        _column("details", JSON, "what the request said, such as the episode and the note"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        comment="every change that a person or program made, with who, when and from where",
        sqlite_strict=True,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    for table, name, comment in AUTHORS:
        op.add_column(
            table, sa.Column(name, sa.Text, nullable=False, server_default="", comment=comment)
        )


def downgrade() -> None:
    for table, name, _comment in AUTHORS:
        op.drop_column(table, name)
    op.drop_table("audit")


def _column(name: str, kind: Any, comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)
