"""The tables of episodes, receivers, notifications about episodes, and feedback on records."""

import sqlalchemy as sa

from aemon.store.schema.column_types import Identifier, Json, Number, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, table

episodes = table(
    "episodes",
    column("id", Whole, "identifies an episode", primary_key=True),
    monitor(of_monitors()),
    column("entity", Identifier, "the thing it happened to; empty if none"),
    column(
        "state",
        sa.Text,
        "forming (too short to be notified), open, acknowledged, or closed after enough calm "
        "records",
    ),
    column("started_at", UtcTime, "event time of its first anomaly"),
    column("ended_at", UtcTime, "event time of its last anomaly so far"),
    column("records", sa.Integer, "anomalies counted in it, also those corrected since"),
    column("severity", sa.Text, "the highest severity of its anomalies"),
    column("peak_exceedance", Number, "largest exceedance in it: score divided by threshold"),
    column("peak_record_key", Identifier, "key of the anomaly with the largest exceedance"),
    column("feature", sa.Text, "the column with the largest contribution over the whole episode"),
    column("blame", Json(numbers=True), "contribution of each column, summed over its anomalies"),
    column("calm_records", sa.Integer, "normal records since its last anomaly"),
    column("updated_at", UtcTime, "when it was last written"),
    column(
        "opened_at",
        UtcTime,
        "when it was long enough to be notified; null if it never was",
        nullable=True,
    ),
    column("acknowledged_at", UtcTime, "when a person acknowledged it", nullable=True),
    column("note", sa.Text, "a person's note", server_default=""),
    column("label", sa.Text, "a person's name for it, such as stuck sensor", server_default=""),
    column(
        "pattern",
        Json(numbers=True),
        "contribution of each column, summed; negative where the value was below the expected",
        nullable=True,
    ),
    column("like_id", Whole, "an earlier episode that is similar", nullable=True),
    column("likeness", Number, "how similar it is; 1 is identical", nullable=True),
    column("acknowledged_by", sa.Text, "who acknowledged it; empty if unknown", server_default=""),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "entity", "started_at"),
    sa.Index(None, "opened_at"),
    comment="runs of adjacent anomalies of one entity",
)

receivers = table(
    "receivers",
    column("name", sa.Text, "as in the configuration", primary_key=True),
    column(
        "known_at",
        UtcTime,
        "since when it is notified; episodes that had ended by then are not reported to it",
    ),
    comment="the receivers that aemon notifies of episodes itself",
)

notifications = table(
    "notifications",
    column("id", Whole, "identifies a notification", primary_key=True),
    monitor(of_monitors()),
    column(
        "episode_id",
        Whole,
        "the episode it is about",
        sa.ForeignKey("episodes.id", ondelete="CASCADE"),
    ),
    column("receiver", sa.Text, "the receiver that is notified"),
    column(
        "event",
        sa.Text,
        "opened, escalated (a warning became critical), resolved, or backlog (a summary of many)",
    ),
    column(
        "state",
        sa.Text,
        "expected (the episode continues), waiting (to be sent), sent, or dead: given up",
    ),
    column("severity", sa.Text, "the severity of the episode that was last notified"),
    column(
        "created_at",
        UtcTime,
        "when its event became known; for a backlog, when its last episode was found",
    ),
    column(
        "due_at", UtcTime, "when it became ready to be sent; null while expected", nullable=True
    ),
    column("attempts", sa.Integer, "how often it was tried", server_default="0"),
    column(
        "next_try_at",
        UtcTime,
        "when it is tried next; null if it is not tried again",
        nullable=True,
    ),
    column("sent_at", UtcTime, "when the receiver accepted it", nullable=True),
    column("status", sa.Integer, "HTTP status of the last answer; null if none", nullable=True),
    column(
        "last_error",
        sa.Text,
        "why the last try failed; empty if it did not fail",
        server_default="",
    ),
    sa.UniqueConstraint("episode_id", "receiver", "event"),
    sa.Index(None, "receiver", "state"),
    comment="notifications of episodes to receivers: each event once",
)

feedback = table(
    "feedback",
    column("id", Whole, "identifies the feedback", primary_key=True),
    monitor(of_monitors()),
    column("record_key", Identifier, "the record it is about", nullable=True),
    column(
        "entity",
        Identifier,
        "entity of the record; null means all records with this key, or all entities",
        nullable=True,
    ),
    column("verdict", sa.Text, "false_alarm, confirmed or ignore_until"),
    column(
        "until",
        UtcTime,
        "ignore_until: records up to this event time are left out of training",
        nullable=True,
    ),
    column("note", sa.Text, "why, in a person's words", server_default=""),
    column("created_at", UtcTime, "when it was given", server_default=sa.func.current_timestamp()),
    column(
        "detector_id",
        sa.Integer,
        "the first detector whose training used it; null until then",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    column("author", sa.Text, "who gave it; empty if unknown", server_default=""),
    sa.CheckConstraint("verdict IN ('false_alarm', 'confirmed', 'ignore_until')", name="verdict"),
    sa.CheckConstraint("(verdict = 'ignore_until') = (until IS NOT NULL)", name="until"),
    sa.CheckConstraint("verdict = 'ignore_until' OR record_key IS NOT NULL", name="record_key"),
    *(
        # Only for SQLite, which accepts any text as a time; PostgreSQL checks times itself.
        sa.CheckConstraint(
            f"{name} IS NULL OR (date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10)"
            f" AND julianday({name}) IS NOT NULL)",
            name=f"{name}_time",
        ).ddl_if(dialect="sqlite")
        for name in ("until", "created_at")
    ),
    sa.Index(None, "monitor", "record_key"),
    comment="feedback of people on records; the next training uses it",
)
