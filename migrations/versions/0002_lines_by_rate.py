"""Critical by a rate, lines by several methods, and absent records in the ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# (table, column, type, comment before, comment after)
COMMENTS: tuple[tuple[str, str, sa.types.TypeEngine[Any], str, str], ...] = (
    (
        "anomalies",
        "severity",
        sa.Text(),
        "warning, or critical from twice the threshold",
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    (
        "thresholds",
        "method",
        sa.Text(),
        "conformal, or evt where the promise is below 1/(n+1)",
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    (
        "contributions",
        "error",
        sa.Double(),
        "its part of the score",
        "its squared gap from what is expected, in usual gaps",
    ),
    (
        "detectors",
        "validation_records",
        sa.Integer(),
        "records that ended the training",
        "records it was tried on by members that never saw them",
    ),
)


def upgrade() -> None:
    op.add_column(
        "runs",
        sa.Column(
            "records_absent",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="scored records with too little there to judge",
        ),
    )
    for table, column, kind, before, after in COMMENTS:
        _comment(table, column, kind, before, after)


def downgrade() -> None:
    for table, column, kind, before, after in COMMENTS:
        _comment(table, column, kind, after, before)
    op.drop_column("runs", "records_absent")


def _comment(
    table: str, column: str, kind: sa.types.TypeEngine[Any], before: str, after: str
) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # it keeps no comments
    op.alter_column(
        table,
        column,
        comment=after,
        existing_comment=before,
        existing_type=kind,
        existing_nullable=False,
    )
