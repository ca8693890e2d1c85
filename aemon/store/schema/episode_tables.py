"""The tables for people: episodes that are told to them, and the feedback that they give."""

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
        "forming (too short to be told), open, acknowledged, or closed once enough calm records "
        "followed",
    ),
    column("started_at", UtcTime, "event time of its first anomaly"),
    column("ended_at", UtcTime, "event time of its last anomaly so far"),
    column("records", sa.Integer, "anomalies told in it, also those corrected since"),
    column("severity", sa.Text, "that of its severest anomaly"),
    column("peak_exceedance", Number, "largest score over threshold in it"),
    column("peak_record_key", Identifier, "the anomaly with that"),
    column("feature", sa.Text, "the column most to blame over the whole of it"),
    column(
        "blame", Json(numbers=True), "each column's shares of the blame, summed over its anomalies"
    ),
    column("calm_records", sa.Integer, "normal records since its last anomaly"),
    column("updated_at", UtcTime, "when it was written last"),
    column(
        "opened_at",
        UtcTime,
        "when it was long enough to be told; null if it never was",
        nullable=True,
    ),
    column("acknowledged_at", UtcTime, "when a person took it up", nullable=True),
    column("note", sa.Text, "what a person said of it", server_default=""),
    column("label", sa.Text, "what a person calls it: stuck sensor", server_default=""),
    column(
        "pattern",
        Json(numbers=True),
        "each column's shares of the blame, those below expectation negative, summed",
        nullable=True,
    ),
    column("like_id", Whole, "an earlier episode that looked the same", nullable=True),
    column("likeness", Number, "how much it looked so; 1 is the same", nullable=True),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "entity", "started_at"),
    sa.Index(None, "opened_at"),
    comment="runs of adjacent anomalies of one entity",
)

receivers = table(
    "receivers",
    column("name", sa.Text, "as in the configuration", primary_key=True),
    column(
        "known_at", UtcTime, "since when it is told of episodes; of none that were over by then"
    ),
    comment="who is told of episodes by aemon itself",
)

notifications = table(
    "notifications",
    column("id", Whole, "identifies a notification", primary_key=True),
    monitor(of_monitors()),
    column(
        "episode_id",
        Whole,
        "the episode it tells of",
        sa.ForeignKey("episodes.id", ondelete="CASCADE"),
    ),
    column("receiver", sa.Text, "who is told"),
    column(
        "event",
        sa.Text,
        "opened, escalated (a warning became critical), resolved, or backlog (a summary of many)",
    ),
    column(
        "state",
        sa.Text,
        "expected (the episode goes on), waiting (to be sent), sent, or dead: given up",
    ),
    column("severity", sa.Text, "the episode's, as it was told last"),
    column("created_at", UtcTime, "when it was known that it would have to be told"),
    column(
        "due_at", UtcTime, "when there was something to tell; null while expected", nullable=True
    ),
    column("attempts", sa.Integer, "how often it was tried", server_default="0"),
    column("next_try_at", UtcTime, "when it is tried next; null if it is not", nullable=True),
    column("sent_at", UtcTime, "when the receiver took it", nullable=True),
    column("status", sa.Integer, "HTTP status of the last answer; null if none", nullable=True),
    column(
        "last_error", sa.Text, "why the last try failed; empty if it did not", server_default=""
    ),
    sa.UniqueConstraint("episode_id", "receiver", "event"),
    sa.Index(None, "receiver", "state"),
    comment="what receivers are told of episodes: each event once",
)

feedback = table(
    "feedback",
    column("id", Whole, "identifies what was said", primary_key=True),
    monitor(of_monitors()),
    column("record_key", Identifier, "the record it is about", nullable=True),
    column(
        "entity", Identifier, "whose record; null means all with this key, or all", nullable=True
    ),
    column("verdict", sa.Text, "false_alarm, confirmed or ignore_until"),
    column(
        "until", UtcTime, "ignore_until: nothing is learned up to this event time", nullable=True
    ),
    column("note", sa.Text, "why, in a person's words", server_default=""),
    column("created_at", UtcTime, "when it was said", server_default=sa.func.current_timestamp()),
    column(
        "detector_id",
        sa.Integer,
        "the first detector whose training took it up; null until then",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    sa.CheckConstraint("verdict IN ('false_alarm', 'confirmed', 'ignore_until')", name="verdict"),
    sa.CheckConstraint("(verdict = 'ignore_until') = (until IS NOT NULL)", name="until"),
    sa.CheckConstraint("verdict = 'ignore_until' OR record_key IS NOT NULL", name="record_key"),
    *(
        # SQLite takes any text for a time. PostgreSQL does not.
        sa.CheckConstraint(
            f"{name} IS NULL OR (date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10)"
            f" AND julianday({name}) IS NOT NULL)",
            name=f"{name}_time",
        ).ddl_if(dialect="sqlite")
        for name in ("until", "created_at")
    ),
    sa.Index(None, "monitor", "record_key"),
    comment="what people say of records; taken up at the next training",
)
