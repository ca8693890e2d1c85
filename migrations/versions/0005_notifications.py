"""Telling people: notifications, their receivers, and a view of those that were given up."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DEAD_LETTERS = """
SELECT n.id AS notification, n.receiver, n.event, n.monitor, e.entity, n.episode_id AS episode,
       e.severity, e.started_at, n.due_at, n.attempts, n.status, n.last_error
FROM notifications n
JOIN episodes e ON e.id = n.episode_id
WHERE n.state = 'dead'
"""
DEAD_LETTERS_COMMENT = (
    "one row for every notification that was given up, and why; `aemon notify retry` tries again"
)


def upgrade() -> None:
    op.create_table(
        "receivers",
        sa.Column("name", sa.Text, nullable=False, comment="as in the configuration"),
        sa.Column(
            "known_at",
            TIME,
            nullable=False,
            comment="since when it is told of episodes; of none that were over by then",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_receivers"),
        comment="who is told of episodes by aemon itself",
        sqlite_strict=True,
    )
    op.create_table(
        "notifications",
        sa.Column("id", WHOLE, nullable=False, comment="identifies a notification"),
        sa.Column("monitor", sa.Text, nullable=False, comment="the monitor's name"),
        sa.Column("episode_id", WHOLE, nullable=False, comment="the episode it tells of"),
        sa.Column("receiver", sa.Text, nullable=False, comment="who is told"),
        sa.Column(
            "event",
            sa.Text,
            nullable=False,
            comment="opened, escalated (a warning became critical) or resolved",
        ),
        sa.Column(
            "state",
            sa.Text,
            nullable=False,
            comment="expected (the episode goes on), waiting (to be sent), sent, or dead: given up",
        ),
        sa.Column(
            "severity", sa.Text, nullable=False, comment="the episode's, as it was told last"
        ),
        sa.Column(
            "created_at",
            TIME,
            nullable=False,
            comment="when it was known that it would have to be told",
        ),
        sa.Column(
            "due_at",
            TIME,
            nullable=True,
            comment="when there was something to tell; null while expected",
        ),
        sa.Column(
            "attempts",
            sa.Integer,
            nullable=False,
            comment="how often it was tried",
            server_default="0",
        ),
        sa.Column(
            "next_try_at", TIME, nullable=True, comment="when it is tried next; null if it is not"
        ),
        sa.Column("sent_at", TIME, nullable=True, comment="when the receiver took it"),
        sa.Column(
            "status",
            sa.Integer,
            nullable=True,
            comment="HTTP status of the last answer; null if none",
        ),
        sa.Column(
            "last_error",
            sa.Text,
            nullable=False,
            comment="why the last try failed; empty if it did not",
            server_default="",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_notifications_monitor"),
        sa.ForeignKeyConstraint(
            ["episode_id"],
            ["episodes.id"],
            name="fk_notifications_episode_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "episode_id", "receiver", "event", name="uq_notifications_episode_id_receiver_event"
        ),
        comment="what receivers are told of episodes: each event once",
        sqlite_strict=True,
    )
    op.create_index("ix_notifications_receiver_state", "notifications", ["receiver", "state"])
    op.create_index("ix_episodes_opened_at", "episodes", ["opened_at"])
    op.execute(f"CREATE VIEW dead_letters AS {DEAD_LETTERS}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"COMMENT ON VIEW dead_letters IS '{DEAD_LETTERS_COMMENT}'")


def downgrade() -> None:
    op.execute("DROP VIEW dead_letters")
    op.drop_index("ix_episodes_opened_at", "episodes")
    op.drop_table("notifications")
    op.drop_table("receivers")
