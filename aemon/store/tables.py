"""The tables, as SQLAlchemy sees them; `migrations/` builds the same (a test proves it).

A monitor is known by its name in every table, so that a person's query needs no join to say
which monitor it means. Event times are UTC: `timestamptz` on PostgreSQL, ISO text on SQLite.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)


class UtcTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, whatever the database keeps."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Take naive values for UTC; SQLite's text must all be in one zone to sort."""
        if value is None:
            return None
        if value.tzinfo is None:
            return value if dialect.name == "sqlite" else value.replace(tzinfo=UTC)
        return value.astimezone(UTC).replace(tzinfo=None if dialect.name == "sqlite" else UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite dropped."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _column(name: str, kind: Any, comment: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, kind, *extra, comment=comment, **options)


def _monitor(**options: Any) -> sa.Column[Any]:
    return _column(
        "monitor", sa.Text, "the monitor's name", sa.ForeignKey("monitors.name"), **options
    )


def _record_identity() -> tuple[sa.Column[Any], ...]:
    return (
        _monitor(primary_key=True),
        _column(
            "entity", sa.Text, "the thing the record belongs to; empty if none", primary_key=True
        ),
        _column("record_key", sa.Text, "the record's key in its source, as text", primary_key=True),
        _column("revision", sa.Integer, "1 for the first score of a record", primary_key=True),
    )


monitors = sa.Table(
    "monitors",
    metadata,
    _column("name", sa.Text, "as in the configuration", primary_key=True),
    _column("created_at", UtcTime, "when aemon first ran it"),
    comment="the configured units that are watched",
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    _column("sha256", sa.Text, "hash of the content, checked at every load", primary_key=True),
    _column("format_version", sa.Integer, "how to read the content"),
    _column("content", sa.LargeBinary, "safetensors: weights, and JSON metadata in its header"),
    comment="trained detectors as files that hold no code",
)

detectors = sa.Table(
    "detectors",
    metadata,
    _column("id", sa.Integer, "identifies a detector", primary_key=True),
    _monitor(),
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
    _column("validation_error", sa.Double, "mean squared reconstruction error, in spreads"),
    _column("settings_hash", sa.Text, "sha256 of the settings it was trained with"),
    _column("feature_map_hash", sa.Text, "sha256 of its feature map"),
    _column("data_hash", sa.Text, "sha256 of the records it learned from"),
    _column("versions", Json, "versions of aemon and the libraries that trained it"),
    _column("artifact_sha256", sa.Text, "its artifact", sa.ForeignKey("artifacts.sha256")),
    sa.UniqueConstraint("monitor", "version"),
    comment="every detector ever trained, and on what",
)

thresholds = sa.Table(
    "thresholds",
    metadata,
    _column("id", sa.Integer, "identifies a threshold", primary_key=True),
    _column("detector_id", sa.Integer, "the detector it judges for", sa.ForeignKey("detectors.id")),
    _column("value", sa.Double, "a record is anomalous if its score is above this"),
    _column(
        "method",
        sa.Text,
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    _column("false_alarm_rate", sa.Double, "promised share of normal records flagged"),
    _column("calibration_records", sa.Integer, "held-out normal records it was learned from"),
    _column("created_at", UtcTime, "when it was learned"),
    comment="every decision line ever drawn",
)

runs = sa.Table(
    "runs",
    metadata,
    _column("id", sa.Integer, "identifies a run", primary_key=True),
    _monitor(),
    _column("job", sa.Text, "score or train"),
    _column(
        "outcome",
        sa.Text,
        "ok, no_data, collecting, skipped, misfired, abandoned, timed_out or failed",
    ),
    _column("reason", sa.Text, "why it ended so, in plain words"),
    _column("started_at", UtcTime, "when it started"),
    _column("finished_at", UtcTime, "when it ended"),
    _column("records_read", sa.Integer, "records the source returned"),
    _column("records_scored", sa.Integer, "records that got a verdict"),
    _column(
        "records_absent",
        sa.Integer,
        "scored records with too little there to judge",
        server_default="0",
    ),
    _column("records_late", sa.Integer, "scored records older than one already read"),
    _column("records_rejected", sa.Integer, "records that could not be judged"),
    _column("anomalies", sa.Integer, "records judged anomalous"),
    _column("cells_imputed", sa.Integer, "missing cells among the scored records"),
    sa.Index(None, "monitor", "job", "started_at"),
    comment="the ledger: one row for every tick, whatever became of it",
)

scores = sa.Table(
    "scores",
    metadata,
    *_record_identity(),
    _column("event_time", UtcTime, "when the record happened"),
    _column("scored_at", UtcTime, "when it was judged"),
    _column("score", sa.Double, "how odd it is; higher is odder", nullable=True),
    _column("p_value", sa.Double, "chance that a normal record scores this high", nullable=True),
    _column("exceedance", sa.Double, "score over threshold; 1.0 is the line", nullable=True),
    _column("verdict", sa.Text, "normal, anomaly, or absent (too little was there to judge)"),
    _column("detector_id", sa.Integer, "who judged", sa.ForeignKey("detectors.id")),
    _column("threshold_id", sa.Integer, "by which line", sa.ForeignKey("thresholds.id")),
    _column("late", sa.Boolean, "older than a record read before it"),
    _column("imputed_share", sa.Double, "share of its judged cells that were missing"),
    sa.Index(None, "monitor", "event_time"),
    comment="one row for every judged record",
    # One b-tree instead of two: the key is what every lookup and every conflict check uses.
    sqlite_with_rowid=False,
)


def _score_reference() -> sa.ForeignKeyConstraint:
    identity = ["monitor", "entity", "record_key", "revision"]
    return sa.ForeignKeyConstraint(identity, [f"scores.{column}" for column in identity])


anomalies = sa.Table(
    "anomalies",
    metadata,
    *_record_identity(),
    _column("event_time", UtcTime, "when the record happened"),
    _column(
        "severity",
        sa.Text,
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    _column("reason", sa.Text, "one sentence: what was seen and what was expected"),
    _column("observed", Json, "the record, in original units"),
    _column("reconstructed", Json, "what it should have been, in original units"),
    _score_reference(),
    sa.Index(None, "monitor", "event_time"),
    comment="every record judged anomalous, with what was expected instead",
)

contributions = sa.Table(
    "contributions",
    metadata,
    *_record_identity(),
    _column("rank", sa.Integer, "1 is the column most to blame", primary_key=True),
    _column("feature", sa.Text, "the source's column"),
    _column("observed", sa.Double, "its value; null where it is no number", nullable=True),
    _column("reconstructed", sa.Double, "the value expected; null if no number", nullable=True),
    _column("observed_text", sa.Text, "its value as text", nullable=True),
    _column("reconstructed_text", sa.Text, "the value expected, as text", nullable=True),
    _column("error", sa.Double, "its squared gap from what is expected, in usual gaps"),
    _column("share", sa.Double, "its part of the blame; the shares of a record sum to 1"),
    _score_reference(),
    comment="the columns to blame for every anomaly",
)

watermarks = sa.Table(
    "watermarks",
    metadata,
    _monitor(primary_key=True),
    _column("event_time", UtcTime, "time of the last record read", nullable=True),
    _column("record_key", sa.Text, "key of the last record read"),
    _column("position", sa.Text, "the source's own note of where it is"),
    _column("source", sa.Text, "what is read, so that a position is not used for another source"),
    _column("generation", sa.Integer, "grows by one at every move; a stale writer is refused"),
    _column("updated_at", UtcTime, "when it moved last"),
    comment="how far each monitor has read its source",
)

history = sa.Table(
    "history",
    metadata,
    _column("id", sa.Integer, "order of arrival", primary_key=True),
    _monitor(),
    _column("record_key", sa.Text, "the record's key"),
    _column("event_time", UtcTime, "when the record happened"),
    _column("record", Json, "its columns and values"),
    sa.UniqueConstraint("monitor", "record_key"),
    comment="records of sources that cannot be read twice, kept to learn from",
)
