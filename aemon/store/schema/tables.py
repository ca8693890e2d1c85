"""The tables as SQLAlchemy objects. A test checks that `migrations/` creates the same tables.

Tables identify a monitor by its name, so that a query of a person can select a monitor without a
join. Event times are in UTC: `timestamptz` on PostgreSQL, ISO text on SQLite.
"""

import sqlalchemy as sa

from aemon.records import Quiet
from aemon.store.schema import episode_tables, inbox_tables, lifecycle_tables, table_parts
from aemon.store.schema.column_types import Json, Number, Truth, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, record_identity, table

metadata = table_parts.metadata

audit = lifecycle_tables.audit
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
    column("trained_from", UtcTime, "event time of its oldest training record"),
    column("trained_until", UtcTime, "event time of its newest training record"),
    column("training_records", sa.Integer, "records that trained the weights"),
    column(
        "validation_records",
        sa.Integer,
        "records that validated it, by members that were not trained on them",
    ),
    column("calibration_records", sa.Integer, "records that set the threshold"),
    column("seed", sa.Integer, "seed of everything random in its training"),
    column("validation_error", Number, "mean squared reconstruction error, in spreads"),
    column("settings_hash", sa.Text, "sha256 of the settings it was trained with"),
    column("feature_map_hash", sa.Text, "sha256 of its feature map"),
    column("data_hash", sa.Text, "sha256 of its training records"),
    column("versions", Json, "versions of aemon and the libraries that trained it"),
    column(
        "manifest",
        Json,
        "settings, what was read from the source, and which records were left out or restored",
        nullable=True,
    ),
    column(
        "artifact_sha256",
        sa.Text,
        "its artifact; null after retention has removed it",
        sa.ForeignKey("artifacts.sha256"),
        nullable=True,
    ),
    column("asked_by", sa.Text, "what requested its training, and the reason", server_default=""),
    column("state_at", UtcTime, "when its state last changed", nullable=True),
    column("state_reason", sa.Text, "the reason for its state", server_default=""),
    sa.UniqueConstraint("monitor", "version"),
    comment="every detector ever trained, and the records it was trained on",
)

thresholds = table(
    "thresholds",
    column("id", sa.Integer, "identifies a threshold", primary_key=True),
    column("detector_id", sa.Integer, "the detector it belongs to", sa.ForeignKey("detectors.id")),
    column("value", Number, "a record is anomalous if its score is above this"),
    column(
        "method",
        sa.Text,
        "how it was computed: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    column(
        "false_alarm_rate", Number, "target rate: the share of normal records that may be flagged"
    ),
    column("calibration_records", sa.Integer, "held-out normal records it was computed from"),
    column("created_at", UtcTime, "when it was computed"),
    column(
        "artifact_sha256",
        sa.Text,
        "the thresholds, if computed after the training; null for those of the training",
        nullable=True,
    ),
    column("reason", sa.Text, "why it was computed", server_default=""),
    sa.Index(None, "detector_id"),
    comment="every threshold ever computed",
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
    column("reason", sa.Text, "the reason for the outcome, in plain words"),
    column("started_at", UtcTime, "when it started"),
    column("finished_at", UtcTime, "when it ended, or last committed"),
    column(
        "detector_id",
        sa.Integer,
        "the detector that judged in the run, or was trained by it",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    column(
        "threshold_id",
        sa.Integer,
        "the threshold that the run judged with",
        sa.ForeignKey("thresholds.id"),
        nullable=True,
    ),
    column("records_read", sa.Integer, "new records that the source returned"),
    column("records_scored", sa.Integer, "records that got their first verdict"),
    column(
        "records_absent",
        sa.Integer,
        "scored records with too few values to judge",
        server_default="0",
    ),
    column(
        "records_idle",
        sa.Integer,
        "scored records that were not judged because the machine was not at work",
        server_default="0",
    ),
    column("records_late", sa.Integer, "scored records older than a record read before"),
    column(
        "records_revised",
        sa.Integer,
        "records judged again because they changed",
        server_default="0",
    ),
    column(
        "records_reviewed",
        sa.Integer,
        "known records read again to find late and corrected records",
        server_default="0",
    ),
    column(
        "records_too_late",
        sa.Integer,
        "records that arrived later than lateness allows; not judged",
        server_default="0",
    ),
    column("records_rejected", sa.Integer, "records that could not be judged"),
    column("anomalies", sa.Integer, "records judged anomalous"),
    column(
        "records_suppressed",
        sa.Integer,
        "records above the threshold that were suppressed",
        server_default="0",
    ),
    column("cells_imputed", sa.Integer, "missing cells among the scored records"),
    sa.Index(None, "monitor", "job", "started_at"),
    sa.Index(None, "started_at"),
    comment="the ledger: one row for every tick, with its outcome and reason",
)

# `scores` has no foreign keys. With foreign keys, PostgreSQL would look up three rows for each
# copied row, which takes longer than copying the row. The ids in `scores` belong to rows that the
# same transaction has read or written. `aemon db check` finds scores whose detector or threshold is
# missing.
scores = table(
    "scores",
    *record_identity(),
    # PostgreSQL requires the partition column in every unique key. A record still has only one row
    # for each revision, even if its event time changes, because a lock on the watermark's row lets
    # only one writer at a time write verdicts of a monitor.
    column("event_time", UtcTime, "when the record happened", primary_key=True),
    column("scored_at", UtcTime, "when it was judged"),
    column(
        "superseded_at",
        UtcTime,
        "when a newer revision replaced it; null for the newest revision",
        nullable=True,
    ),
    column("score", Number, "how unusual it is; a higher score is more unusual", nullable=True),
    column(
        "raw_score",
        Number,
        "the score before smoothing over earlier records; null if scores are not smoothed",
        nullable=True,
    ),
    column(
        "p_value", Number, "share of normal records with a score as high or higher", nullable=True
    ),
    column("exceedance", Number, "score divided by threshold; 1.0 is the threshold", nullable=True),
    column(
        "verdict",
        sa.Text,
        "normal, anomaly, suppressed (above the threshold, not notified), absent (too few values to "
        "judge) or idle (not judged because the machine was not at work)",
    ),
    column("detector_id", sa.Integer, "the detector that judged it"),
    column("threshold_id", sa.Integer, "the threshold it was judged with"),
    column("run_id", Whole, "the run of the ledger that judged it", nullable=True),
    column("late", Truth, "older than a record read before it"),
    column("imputed_share", Number, "share of its judged cells that were missing"),
    column(
        "provisional",
        Truth,
        "judged with too few calibration records to show the target rate",
        server_default="0",
    ),
    column(
        "record_hash",
        Whole,
        "fingerprint of the record's values; null if not computed",
        nullable=True,
    ),
    sa.Index(None, "monitor", "event_time"),
    comment="one row for every judged record and revision",
    # Without row ids, SQLite has one b-tree instead of two: every lookup uses the primary key.
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
        "warning, or critical above the critical threshold, which normal records exceed less often",
    ),
    column("reason", sa.Text, "one sentence: what was observed and what was expected"),
    column("observed", Json, "the record, in original units"),
    column("reconstructed", Json, "the values expected, in original units"),
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
    comment="every anomalous or suppressed record, with the values expected",
)

contributions = table(
    "contributions",
    *record_identity(),
    column("rank", sa.Integer, "1 is the column with the largest share", primary_key=True),
    column("feature", sa.Text, "the source's column"),
    column("observed", Number, "its value; null if it is not a number", nullable=True),
    column(
        "reconstructed", Number, "the value expected; null if it is not a number", nullable=True
    ),
    column("observed_text", sa.Text, "its value as text", nullable=True),
    column("reconstructed_text", sa.Text, "the value expected, as text", nullable=True),
    column(
        "error", Number, "squared difference from the value expected, relative to usual differences"
    ),
    column("share", Number, "its share of the explanation; the shares of a record sum to 1"),
    sa.ForeignKeyConstraint(
        ["monitor", "record_key", "entity", "revision"],
        [f"anomalies.{name}" for name in ("monitor", "record_key", "entity", "revision")],
        name="fk_contributions_anomalies",
        ondelete="CASCADE",
    ),
    comment="the columns that explain each anomaly",
)

watermarks = table(
    "watermarks",
    monitor(of_monitors(), primary_key=True),
    column("event_time", UtcTime, "time of the last record read", nullable=True),
    column("record_key", sa.Text, "key of the last record read"),
    column("position", sa.Text, "the source's position, in its own format"),
    column(
        "source",
        sa.Text,
        "identity of the source, so that a position is not used for another source",
    ),
    column(
        "generation",
        sa.Integer,
        "grows by one at every move; a writer with an older generation is refused",
    ),
    column("updated_at", UtcTime, "when it last moved"),
    column(
        "settled",
        Json,
        "up to here aemon no longer looks for late or corrected records",
        nullable=True,
    ),
    comment="how far each monitor has read its source",
)
