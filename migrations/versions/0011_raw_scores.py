"""Scores of a series before they are smoothed, beside those that are."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NUMBER: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
COMMENT = "the score before smoothing over the records before it; null where nothing is smoothed"
REJECTED = (
    "records of streams that could not be kept, and why; the newest of every monitor",
    "records that could not be judged, with the reason; the newest of every monitor",
)


def upgrade() -> None:
    op.add_column("scores", sa.Column("raw_score", NUMBER, nullable=True, comment=COMMENT))
    _comment(1)


def downgrade() -> None:
    op.drop_column("scores", "raw_score")
    _comment(0)


def _comment(which: int) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps none
        op.execute(f"COMMENT ON TABLE rejected_records IS '{REJECTED[which]}'")
