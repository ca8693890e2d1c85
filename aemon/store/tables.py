"""The tables, as SQLAlchemy sees them; `migrations/` builds the same (a test proves it).

A monitor is known by its name in every table, so that a person's query needs no join to say
which monitor it means. Event times are UTC: `timestamptz` on PostgreSQL, ISO text on SQLite.
"""

from typing import Any

import sqlalchemy as sa

from aemon.store.types import Identifier, Json, Number, Truth, UtcTime, Whole

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


def _column(name: str, kind: Any, comment: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, kind, *extra, comment=comment, **options)


def _table(name: str, *parts: Any, comment: str, **options: Any) -> sa.Table:
    return sa.Table(name, metadata, *parts, comment=comment, sqlite_strict=True, **options)


def _monitor(*extra: Any, **options: Any) -> sa.Column[Any]:
    return _column("monitor", sa.Text, "the monitor's name", *extra, **options)


def _of_monitors() -> sa.ForeignKey:
    return sa.ForeignKey("monitors.name")


def _record_identity(*extra: Any) -> tuple[sa.Column[Any], ...]:
    entity = "the thing the record belongs to; empty if none"
    return (
        _monitor(*extra, primary_key=True),
        _column(
            "record_key", Identifier, "the record's key in its source, as text", primary_key=True
        ),
        _column("entity", Identifier, entity, primary_key=True),
        _column("revision", sa.Integer, "1 for the first score of a record", primary_key=True),
    )


monitors = _table(
    "monitors",
    _column("name", sa.Text, "as in the configuration", primary_key=True),
    _column("created_at", UtcTime, "when aemon first ran it"),
    comment="the configured units that are watched",
)

artifacts = _table(
    "artifacts",
    _column("sha256", sa.Text, "hash of the content, checked at every load", primary_key=True),
    _column("format_version", sa.Integer, "how to read the content"),
    _column("content", sa.LargeBinary, "safetensors: weights, and JSON metadata in its header"),
    comment="trained detectors as files that hold no code",
)

detectors = _table(
    "detectors",
    _column("id", sa.Integer, "identifies a detector", primary_key=True),
    _monitor(_of_monitors()),
    _column("version", sa.Integer, "1, 2, 3 ... within the monitor"),
    _column("state", sa.Text, "shadow, active or retired"),
    _column("trained_at", UtcTime, "when its training ended"),
    _column("trained_from", UtcTime, "event time of the oldest record it learned from"),
    _column("trained_until", UtcTime, "event time of the newest record it learned from"),
    _column("training_records", sa.Integer, "records that shaped the weights"),
    _column(
        "validation_records", sa.Integer, "records it was tried on by members that never saw them"
    ),
    _column("calibration_records", sa.Integer, "records that set the threshold"),
    _column("seed", sa.Integer, "seed of everything random in its training"),
    _column("validation_error", Number, "mean squared reconstruction error, in spreads"),
    _column("settings_hash", sa.Text, "sha256 of the settings it was trained with"),
    _column("feature_map_hash", sa.Text, "sha256 of its feature map"),
    _column("data_hash", sa.Text, "sha256 of the records it learned from"),
    _column("versions", Json, "versions of aemon and the libraries that trained it"),
    _column(
        "manifest",
        Json,
        "the settings, what was read from the source, and what was left out or brought back",
        nullable=True,
    ),
    _column(
        "artifact_sha256",
        sa.Text,
        "its artifact; null once retention has removed it",
        sa.ForeignKey("artifacts.sha256"),
        nullable=True,
    ),
    sa.UniqueConstraint("monitor", "version"),
    comment="every detector ever trained, and on what",
)

thresholds = _table(
    "thresholds",
    _column("id", sa.Integer, "identifies a threshold", primary_key=True),
    _column("detector_id", sa.Integer, "the detector it judges for", sa.ForeignKey("detectors.id")),
    _column("value", Number, "a record is anomalous if its score is above this"),
    _column(
        "method",
        sa.Text,
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    _column("false_alarm_rate", Number, "promised share of normal records flagged"),
    _column("calibration_records", sa.Integer, "held-out normal records it was learned from"),
    _column("created_at", UtcTime, "when it was learned"),
    sa.Index(None, "detector_id"),
    comment="every decision line ever drawn",
)

runs = _table(
    "runs",
    _column("id", Whole, "identifies a run", primary_key=True),
    _monitor(_of_monitors()),
    _column("job", sa.Text, "score, train or prune"),
    _column(
        "outcome",
        sa.Text,
        "ok, no_data, collecting, skipped, misfired, abandoned, timed_out or failed; "
        "running while it has committed something and has not ended",
    ),
    _column("reason", sa.Text, "why it ended so, in plain words"),
    _column("started_at", UtcTime, "when it started"),
    _column("finished_at", UtcTime, "when it ended, or committed last"),
    _column(
        "detector_id",
        sa.Integer,
        "the detector that judged in it, or was trained by it",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    _column(
        "threshold_id",
        sa.Integer,
        "the line it judged by",
        sa.ForeignKey("thresholds.id"),
        nullable=True,
    ),
    _column("records_read", sa.Integer, "records the source returned that were not known"),
    _column("records_scored", sa.Integer, "records that got their first verdict"),
    _column(
        "records_absent",
        sa.Integer,
        "scored records with too little there to judge",
        server_default="0",
    ),
    _column("records_late", sa.Integer, "scored records older than one already read"),
    _column(
        "records_revised", sa.Integer, "records judged again, for they changed", server_default="0"
    ),
    _column(
        "records_reviewed",
        sa.Integer,
        "known records read again to look for late and corrected ones",
        server_default="0",
    ),
    _column(
        "records_too_late",
        sa.Integer,
        "records that came later than lateness allows; not judged",
        server_default="0",
    ),
    _column("records_rejected", sa.Integer, "records that could not be judged"),
    _column("anomalies", sa.Integer, "records judged anomalous"),
    _column("cells_imputed", sa.Integer, "missing cells among the scored records"),
    sa.Index(None, "monitor", "job", "started_at"),
    sa.Index(None, "started_at"),
    comment="the ledger: one row for every tick, whatever became of it",
)

# No foreign keys lead out of `scores`: PostgreSQL would look up three rows for each one copied in,
# which takes longer than the copying. The ids are those of rows read or written in the same
# transaction; `aemon db check` looks for rows that have lost theirs.
scores = _table(
    "scores",
    *_record_identity(),
    # PostgreSQL wants what it partitions by in every unique key. That a record has one revision 2,
    # whatever its time, follows from the writers' taking turns at the watermark's row.
    _column("event_time", UtcTime, "when the record happened", primary_key=True),
    _column("scored_at", UtcTime, "when it was judged"),
    _column(
        "superseded_at",
        UtcTime,
        "when a newer revision took its place; null while it is what we know",
        nullable=True,
    ),
    _column("score", Number, "how odd it is; higher is odder", nullable=True),
    _column("p_value", Number, "chance that a normal record scores this high", nullable=True),
    _column("exceedance", Number, "score over threshold; 1.0 is the line", nullable=True),
    _column("verdict", sa.Text, "normal, anomaly, or absent (too little was there to judge)"),
    _column("detector_id", sa.Integer, "who judged"),
    _column("threshold_id", sa.Integer, "by which line"),
    _column("run_id", Whole, "the run of the ledger it was judged in", nullable=True),
    _column("late", Truth, "older than a record read before it"),
    _column("imputed_share", Number, "share of its judged cells that were missing"),
    _column(
        "record_hash", Whole, "fingerprint of the record's values; null if not taken", nullable=True
    ),
    sa.Index(None, "monitor", "event_time"),
    comment="one row for every judged record and revision",
    # One b-tree instead of two: the key is what every lookup and every conflict check uses.
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (event_time)",
)

episodes = _table(
    "episodes",
    _column("id", Whole, "identifies an episode", primary_key=True),
    _monitor(_of_monitors()),
    _column("entity", Identifier, "the thing it happened to; empty if none"),
    _column("state", sa.Text, "open, or closed once enough normal records followed"),
    _column("started_at", UtcTime, "event time of its first anomaly"),
    _column("ended_at", UtcTime, "event time of its last anomaly so far"),
    _column("records", sa.Integer, "anomalies in it"),
    _column("severity", sa.Text, "that of its severest anomaly"),
    _column("peak_exceedance", Number, "largest score over threshold in it"),
    _column("peak_record_key", Identifier, "the anomaly with that"),
    _column("feature", sa.Text, "the column most to blame over the whole of it"),
    _column("blame", Json, "each column's shares of the blame, summed over its anomalies"),
    _column("calm_records", sa.Integer, "normal records since its last anomaly"),
    _column("updated_at", UtcTime, "when it was written last"),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "entity", "started_at"),
    comment="runs of adjacent anomalies of one entity",
)

anomalies = _table(
    "anomalies",
    *_record_identity(_of_monitors()),
    _column("event_time", UtcTime, "when the record happened"),
    _column(
        "severity",
        sa.Text,
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    _column("reason", sa.Text, "one sentence: what was seen and what was expected"),
    _column("observed", Json, "the record, in original units"),
    _column("reconstructed", Json, "what it should have been, in original units"),
    _column(
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

contributions = _table(
    "contributions",
    *_record_identity(),
    _column("rank", sa.Integer, "1 is the column most to blame", primary_key=True),
    _column("feature", sa.Text, "the source's column"),
    _column("observed", Number, "its value; null where it is no number", nullable=True),
    _column("reconstructed", Number, "the value expected; null if no number", nullable=True),
    _column("observed_text", sa.Text, "its value as text", nullable=True),
    _column("reconstructed_text", sa.Text, "the value expected, as text", nullable=True),
    _column("error", Number, "its squared gap from what is expected, in usual gaps"),
    _column("share", Number, "its part of the blame; the shares of a record sum to 1"),
    sa.ForeignKeyConstraint(
        ["monitor", "record_key", "entity", "revision"],
        [f"anomalies.{name}" for name in ("monitor", "record_key", "entity", "revision")],
        name="fk_contributions_anomalies",
        ondelete="CASCADE",
    ),
    comment="the columns to blame for every anomaly",
)

feedback = _table(
    "feedback",
    _column("id", Whole, "identifies what was said", primary_key=True),
    _monitor(_of_monitors()),
    _column("record_key", Identifier, "the record it is about", nullable=True),
    _column(
        "entity", Identifier, "whose record; null means all with this key, or all", nullable=True
    ),
    _column("verdict", sa.Text, "false_alarm, confirmed or ignore_until"),
    _column(
        "until", UtcTime, "ignore_until: nothing is learned up to this event time", nullable=True
    ),
    _column("note", sa.Text, "why, in a person's words", server_default=""),
    _column("created_at", UtcTime, "when it was said", server_default=sa.func.current_timestamp()),
    _column(
        "detector_id",
        sa.Integer,
        "the first detector whose training took it up; null until then",
        sa.ForeignKey("detectors.id"),
        nullable=True,
    ),
    sa.CheckConstraint("verdict IN ('false_alarm', 'confirmed', 'ignore_until')", name="verdict"),
    sa.CheckConstraint("(verdict = 'ignore_until') = (until IS NOT NULL)", name="until"),
    sa.CheckConstraint("verdict = 'ignore_until' OR record_key IS NOT NULL", name="record_key"),
    sa.Index(None, "monitor", "record_key"),
    comment="what people say of records; taken up at the next training",
)

watermarks = _table(
    "watermarks",
    _monitor(_of_monitors(), primary_key=True),
    _column("event_time", UtcTime, "time of the last record read", nullable=True),
    _column("record_key", sa.Text, "key of the last record read"),
    _column("position", sa.Text, "the source's own note of where it is"),
    _column("source", sa.Text, "what is read, so that a position is not used for another source"),
    _column("generation", sa.Integer, "grows by one at every move; a stale writer is refused"),
    _column("updated_at", UtcTime, "when it moved last"),
    _column(
        "settled",
        Json,
        "up to here no record is looked for any more; null while there is no lateness",
        nullable=True,
    ),
    comment="how far each monitor has read its source",
)

history = _table(
    "history",
    _column("id", Whole, "order of arrival", primary_key=True),
    _monitor(_of_monitors()),
    _column("record_key", sa.Text, "the record's key"),
    _column("event_time", UtcTime, "when the record happened"),
    _column("record", Json, "its columns and values"),
    sa.UniqueConstraint("monitor", "record_key"),
    comment="records of sources that cannot be read twice, kept to learn from",
)
