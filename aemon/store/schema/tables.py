"""The tables, as SQLAlchemy sees them; `migrations/` builds the same (a test proves it).

A monitor is known by its name in every table, so that a person's query needs no join to say
which monitor it means. Event times are UTC: `timestamptz` on PostgreSQL, ISO text on SQLite.
"""

import sqlalchemy as sa

from aemon.records import Quiet
from aemon.store.schema import episode_tables, inbox_tables, lifecycle_tables, table_parts
from aemon.store.schema.column_types import Json, Number, Truth, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, record_identity, table

metadata = table_parts.metadata

drifts, leases, live_states = (
    lifecycle_tables.drifts,
    lifecycle_tables.leases,
    lifecycle_tables.live_states,
)
replicas, snoozes = lifecycle_tables.replicas, lifecycle_tables.snoozes
trials, trial_verdicts = lifecycle_tables.trials, lifecycle_tables.trial_verdicts
episodes, feedback = episode_tables.episodes, episode_tables.feedback
notifications, receivers = episode_tables.notifications, episode_tables.receivers
history, rejected_records = inbox_tables.history, inbox_tables.rejected_records
stream_notes, unfinished_records = inbox_tables.stream_notes, inbox_tables.unfinished_records

monitors = table(
    "monitors",
    column("name", sa.Text, "as in the configuration", primary_key=True),
    column("created_at", UtcTime, "when aemon first ran it"),
    comment="the configured units that are watched",
)

artifacts = table(
    "artifacts",
    column("sha256", sa.Text, "hash of the content, checked at every load", primary_key=True),
    column("format_version", sa.Integer, "how to read the content"),
    column("content", sa.LargeBinary, "safetensors: weights, and JSON metadata in its header"),
    comment="trained detectors as files that hold no code",
)

detectors = table(
    "detectors",
    column("id", sa.Integer, "identifies a detector", primary_key=True),
    monitor(of_monitors()),
    column("version", sa.Integer, "1, 2, 3 ... within the monitor"),
    column("state", sa.Text, "shadow (on trial), active, retired, or rejected by its trial"),
    column("trained_at", UtcTime, "when its training ended"),
    column("trained_from", UtcTime, "event time of the oldest record it learned from"),
    column("trained_until", UtcTime, "event time of the newest record it learned from"),
    column("training_records", sa.Integer, "records that shaped the weights"),
    column(
        "validation_records", sa.Integer, "records it was tried on by members that never saw them"
    ),
    column("calibration_records", sa.Integer, "records that set the threshold"),
    column("seed", sa.Integer, "seed of everything random in its training"),
    column("validation_error", Number, "mean squared reconstruction error, in spreads"),
    column("settings_hash", sa.Text, "sha256 of the settings it was trained with"),
    column("feature_map_hash", sa.Text, "sha256 of its feature map"),
    column("data_hash", sa.Text, "sha256 of the records it learned from"),
    column("versions", Json, "versions of aemon and the libraries that trained it"),
    column(
        "manifest",
        Json,
        "the settings, what was read from the source, and what was left out or brought back",
        nullable=True,
    ),
    column(
        "artifact_sha256",
        sa.Text,
        "its artifact; null once retention has removed it",
        sa.ForeignKey("artifacts.sha256"),
        nullable=True,
    ),
    column("asked_by", sa.Text, "what asked for its training, and why", server_default=""),
    column("state_at", UtcTime, "when its state changed last", nullable=True),
    column("state_reason", sa.Text, "why it is in that state", server_default=""),
    sa.UniqueConstraint("monitor", "version"),
    comment="every detector ever trained, and on what",
)

thresholds = table(
    "thresholds",
    column("id", sa.Integer, "identifies a threshold", primary_key=True),
    column("detector_id", sa.Integer, "the detector it judges for", sa.ForeignKey("detectors.id")),
    column("value", Number, "a record is anomalous if its score is above this"),
    column(
        "method",
        sa.Text,
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    column("false_alarm_rate", Number, "promised share of normal records flagged"),
    column("calibration_records", sa.Integer, "held-out normal records it was learned from"),
    column("created_at", UtcTime, "when it was learned"),
    column(
        "artifact_sha256",
        sa.Text,
        "the lines, where they were drawn after the training; null for those of the training",
        nullable=True,
    ),
    column("reason", sa.Text, "why it was drawn", server_default=""),
    sa.Index(None, "detector_id"),
    comment="every decision line ever drawn",
)

runs = table(
    "runs",
    column("id", Whole, "identifies a run", primary_key=True),
    monitor(of_monitors()),
    column("job", sa.Text, "score, train, prune or hindsight"),
    column(
        "outcome",
        sa.Text,
        "ok, no_data, collecting, skipped, misfired, abandoned, timed_out or failed; "
        "running while it has committed something and has not ended",
    ),
    column("reason", sa.Text, "why it ended so, in plain words"),
    column("started_at", UtcTime, "when it started"),
    column("finished_at", UtcTime, "when it ended, or committed last"),
    column(
        "detector_id",
        sa.Integer,
        "the detector that judged in it, or was trained by it",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    column(
        "threshold_id",
        sa.Integer,
        "the line it judged by",
        sa.ForeignKey("thresholds.id"),
        nullable=True,
    ),
    column("records_read", sa.Integer, "records the source returned that were not known"),
    column("records_scored", sa.Integer, "records that got their first verdict"),
    column(
        "records_absent",
        sa.Integer,
        "scored records with too little there to judge",
        server_default="0",
    ),
    column(
        "records_idle",
        sa.Integer,
        "scored records that were not judged, for the machine was not at work",
        server_default="0",
    ),
    column("records_late", sa.Integer, "scored records older than one already read"),
    column(
        "records_revised", sa.Integer, "records judged again, for they changed", server_default="0"
    ),
    column(
        "records_reviewed",
        sa.Integer,
        "known records read again to look for late and corrected ones",
        server_default="0",
    ),
    column(
        "records_too_late",
        sa.Integer,
        "records that came later than lateness allows; not judged",
        server_default="0",
    ),
    column("records_rejected", sa.Integer, "records that could not be judged"),
    column("anomalies", sa.Integer, "records judged anomalous"),
    column(
        "records_suppressed",
        sa.Integer,
        "records over the line that were to be kept quiet",
        server_default="0",
    ),
    column("cells_imputed", sa.Integer, "missing cells among the scored records"),
    sa.Index(None, "monitor", "job", "started_at"),
    sa.Index(None, "started_at"),
    comment="the ledger: one row for every tick, whatever became of it",
)

# No foreign keys lead out of `scores`: PostgreSQL would look up three rows for each one copied in,
# which takes longer than the copying. The ids are those of rows read or written in the same
# transaction; `aemon db check` looks for rows that have lost theirs.
scores = table(
    "scores",
    *record_identity(),
    # PostgreSQL wants what it partitions by in every unique key. That a record has one revision 2,
    # whatever its time, follows from the writers' taking turns at the watermark's row.
    column("event_time", UtcTime, "when the record happened", primary_key=True),
    column("scored_at", UtcTime, "when it was judged"),
    column(
        "superseded_at",
        UtcTime,
        "when a newer revision took its place; null while it is what we know",
        nullable=True,
    ),
    column("score", Number, "how odd it is; higher is odder", nullable=True),
    column(
        "raw_score",
        Number,
        "the score before smoothing over the records before it; null where nothing is smoothed",
        nullable=True,
    ),
    column("p_value", Number, "chance that a normal record scores this high", nullable=True),
    column("exceedance", Number, "score over threshold; 1.0 is the line", nullable=True),
    column(
        "verdict",
        sa.Text,
        "normal, anomaly, suppressed (over the line, but to be kept quiet), absent (too little was "
        "there to judge) or idle (not judged, for the machine was not at work)",
    ),
    column("detector_id", sa.Integer, "who judged"),
    column("threshold_id", sa.Integer, "by which line"),
    column("run_id", Whole, "the run of the ledger it was judged in", nullable=True),
    column("late", Truth, "older than a record read before it"),
    column("imputed_share", Number, "share of its judged cells that were missing"),
    column(
        "provisional",
        Truth,
        "judged before there were enough records to show the promised rate",
        server_default="0",
    ),
    column(
        "record_hash", Whole, "fingerprint of the record's values; null if not taken", nullable=True
    ),
    sa.Index(None, "monitor", "event_time"),
    comment="one row for every judged record and revision",
    # One b-tree instead of two: the key is what every lookup and every conflict check uses.
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (event_time)",
)

anomalies = table(
    "anomalies",
    *record_identity(of_monitors()),
    column("event_time", UtcTime, "when the record happened"),
    column(
        "severity",
        sa.Text,
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    column("reason", sa.Text, "one sentence: what was seen and what was expected"),
    column("observed", Json, "the record, in original units"),
    column("reconstructed", Json, "what it should have been, in original units"),
    column(
        "quiet",
        sa.Text,
        f"why it was suppressed: {', '.join([*Quiet][:-1])} or {[*Quiet][-1]}; null if it was not",
        nullable=True,
    ),
    column(
        "episode_id",
        Whole,
        "the episode it belongs to",
        sa.ForeignKey("episodes.id", ondelete="SET NULL"),
        nullable=True,
    ),
    sa.ForeignKeyConstraint(
        ["monitor", "record_key", "entity", "revision", "event_time"],
        [
            f"scores.{name}"
            for name in ("monitor", "record_key", "entity", "revision", "event_time")
        ],
        name="fk_anomalies_scores",
        ondelete="CASCADE",
    ),
    sa.Index(None, "monitor", "event_time"),
    sa.Index(None, "episode_id"),
    comment="every record judged anomalous, with what was expected instead",
)

contributions = table(
    "contributions",
    *record_identity(),
    column("rank", sa.Integer, "1 is the column most to blame", primary_key=True),
    column("feature", sa.Text, "the source's column"),
    column("observed", Number, "its value; null where it is no number", nullable=True),
    column("reconstructed", Number, "the value expected; null if no number", nullable=True),
    column("observed_text", sa.Text, "its value as text", nullable=True),
    column("reconstructed_text", sa.Text, "the value expected, as text", nullable=True),
    column("error", Number, "its squared gap from what is expected, in usual gaps"),
    column("share", Number, "its part of the blame; the shares of a record sum to 1"),
    sa.ForeignKeyConstraint(
        ["monitor", "record_key", "entity", "revision"],
        [f"anomalies.{name}" for name in ("monitor", "record_key", "entity", "revision")],
        name="fk_contributions_anomalies",
        ondelete="CASCADE",
    ),
    comment="the columns to blame for every anomaly",
)

watermarks = table(
    "watermarks",
    monitor(of_monitors(), primary_key=True),
    column("event_time", UtcTime, "time of the last record read", nullable=True),
    column("record_key", sa.Text, "key of the last record read"),
    column("position", sa.Text, "the source's own note of where it is"),
    column("source", sa.Text, "what is read, so that a position is not used for another source"),
    column("generation", sa.Integer, "grows by one at every move; a stale writer is refused"),
    column("updated_at", UtcTime, "when it moved last"),
    column(
        "settled",
        Json,
        "up to here no record is looked for any more",
        nullable=True,
    ),
    comment="how far each monitor has read its source",
)
