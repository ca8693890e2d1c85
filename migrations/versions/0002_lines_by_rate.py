"""Critical by a rate, lines by several methods, and absent records in the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# (table, column, comment before, comment after)
COMMENTS = (
    (
        "anomalies",
        "severity",
        "warning, or critical from twice the threshold",
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    (
        "thresholds",
        "method",
        "conformal, or evt where the promise is below 1/(n+1)",
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
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
    for table, column, before, after in COMMENTS:
        _comment(table, column, before, after)


def downgrade() -> None:
    for table, column, before, after in COMMENTS:
        _comment(table, column, after, before)
    op.drop_column("runs", "records_absent")


def _comment(table: str, column: str, before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # it keeps no comments
    op.alter_column(
        table,
        column,
        comment=after,
        existing_comment=before,
        existing_type=sa.Text(),
        existing_nullable=False,
    )
