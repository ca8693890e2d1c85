"""The first schema: monitors, detectors, runs, scores, anomalies and how far each was read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=False,
            comment="hash of the content, checked at every load",
        ),
        sa.Column(
            "format_version", sa.Integer(), nullable=False, comment="how to read the content"
        ),
        sa.Column(
            "content",
            sa.LargeBinary(),
            nullable=False,
            comment="safetensors: weights, and JSON metadata in its header",
        ),
        sa.PrimaryKeyConstraint("sha256", name="pk_artifacts"),
        comment="trained detectors as files that hold no code",
    )
    op.create_table(
        "monitors",
        sa.Column("name", sa.Text(), nullable=False, comment="as in the configuration"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when aemon first ran it",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_monitors"),
        comment="the configured units that are watched",
    )
    op.create_table(
        "detectors",
        sa.Column("id", sa.Integer(), nullable=False, comment="identifies a detector"),
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column(
            "version", sa.Integer(), nullable=False, comment="1, 2, 3 ... within the monitor"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="shadow, active or retired"),
        sa.Column(
            "trained_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when its training ended",
        ),
        sa.Column(
            "trained_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="event time of the oldest record it learned from",
        ),
        sa.Column(
            "trained_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="event time of the newest record it learned from",
        ),
        sa.Column(
            "training_records",
            sa.Integer(),
            nullable=False,
            comment="records that shaped the weights",
        ),
        sa.Column(
            "validation_records",
            sa.Integer(),
            nullable=False,
            comment="records that ended the training",
        ),
        sa.Column(
            "calibration_records",
            sa.Integer(),
            nullable=False,
            comment="records that set the threshold",
        ),
        sa.Column(
            "seed",
            sa.Integer(),
            nullable=False,
            comment="seed of everything random in its training",
        ),
        sa.Column(
            "validation_error",
            sa.Double(),
            nullable=False,
            comment="mean squared reconstruction error, in spreads",
        ),
        sa.Column(
            "settings_hash",
            sa.Text(),
            nullable=False,
            comment="sha256 of the settings it was trained with",
        ),
        sa.Column(
            "feature_map_hash", sa.Text(), nullable=False, comment="sha256 of its feature map"
        ),
        sa.Column(
            "data_hash", sa.Text(), nullable=False, comment="sha256 of the records it learned from"
        ),
        sa.Column(
            "versions",
            JSON,
            nullable=False,
            comment="versions of aemon and the libraries that trained it",
        ),
        sa.Column("artifact_sha256", sa.Text(), nullable=False, comment="its artifact"),
        sa.ForeignKeyConstraint(
            ["artifact_sha256"], ["artifacts.sha256"], name="fk_detectors_artifact_sha256"
        ),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_detectors_monitor"),
        sa.PrimaryKeyConstraint("id", name="pk_detectors"),
        sa.UniqueConstraint("monitor", "version", name="uq_detectors_monitor_version"),
        comment="every detector ever trained, and on what",
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False, comment="order of arrival"),
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column("record_key", sa.Text(), nullable=False, comment="the record's key"),
        sa.Column(
            "event_time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the record happened",
        ),
        sa.Column("record", JSON, nullable=False, comment="its columns and values"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_history_monitor"),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.UniqueConstraint("monitor", "record_key", name="uq_history_monitor_record_key"),
        comment="records of sources that cannot be read twice, kept to learn from",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False, comment="identifies a run"),
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column("job", sa.Text(), nullable=False, comment="score or train"),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=False,
            comment="ok, no_data, collecting, skipped, misfired, abandoned, timed_out or failed",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it ended so, in plain words"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="when it started"
        ),
        sa.Column(
            "finished_at", sa.DateTime(timezone=True), nullable=False, comment="when it ended"
        ),
        sa.Column(
            "records_read", sa.Integer(), nullable=False, comment="records the source returned"
        ),
        sa.Column(
            "records_scored", sa.Integer(), nullable=False, comment="records that got a verdict"
        ),
        sa.Column(
            "records_late",
            sa.Integer(),
            nullable=False,
            comment="scored records older than one already read",
        ),
        sa.Column(
            "records_rejected",
            sa.Integer(),
            nullable=False,
            comment="records that could not be judged",
        ),
        sa.Column("anomalies", sa.Integer(), nullable=False, comment="records judged anomalous"),
        sa.Column(
            "cells_imputed",
            sa.Integer(),
            nullable=False,
            comment="missing cells among the scored records",
        ),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_runs_monitor"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        comment="the ledger: one row for every tick, whatever became of it",
    )
    op.create_index(
        "ix_runs_monitor_job_started_at", "runs", ["monitor", "job", "started_at"], unique=False
    )
    op.create_table(
        "watermarks",
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column(
            "event_time",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="time of the last record read",
        ),
        sa.Column("record_key", sa.Text(), nullable=False, comment="key of the last record read"),
        sa.Column(
            "position", sa.Text(), nullable=False, comment="the source's own note of where it is"
        ),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="what is read, so that a position is not used for another source",
        ),
        sa.Column(
            "generation",
            sa.Integer(),
            nullable=False,
            comment="grows by one at every move; a stale writer is refused",
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), nullable=False, comment="when it moved last"
        ),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_watermarks_monitor"),
        sa.PrimaryKeyConstraint("monitor", name="pk_watermarks"),
        comment="how far each monitor has read its source",
    )
    op.create_table(
        "thresholds",
        sa.Column("id", sa.Integer(), nullable=False, comment="identifies a threshold"),
        sa.Column(
            "detector_id", sa.Integer(), nullable=False, comment="the detector it judges for"
        ),
        sa.Column(
            "value",
            sa.Double(),
            nullable=False,
            comment="a record is anomalous if its score is above this",
        ),
        sa.Column(
            "method",
            sa.Text(),
            nullable=False,
            comment="conformal, or evt where the promise is below 1/(n+1)",
        ),
        sa.Column(
            "false_alarm_rate",
            sa.Double(),
            nullable=False,
            comment="promised share of normal records flagged",
        ),
        sa.Column(
            "calibration_records",
            sa.Integer(),
            nullable=False,
            comment="held-out normal records it was learned from",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="when it was learned"
        ),
        sa.ForeignKeyConstraint(
            ["detector_id"], ["detectors.id"], name="fk_thresholds_detector_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_thresholds"),
        comment="every decision line ever drawn",
    )
    op.create_table(
        "scores",
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column(
            "entity",
            sa.Text(),
            nullable=False,
            comment="the thing the record belongs to; empty if none",
        ),
        sa.Column(
            "record_key",
            sa.Text(),
            nullable=False,
            comment="the record's key in its source, as text",
        ),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="1 for the first score of a record"
        ),
        sa.Column(
            "event_time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the record happened",
        ),
        sa.Column(
            "scored_at", sa.DateTime(timezone=True), nullable=False, comment="when it was judged"
        ),
        sa.Column("score", sa.Double(), nullable=True, comment="how odd it is; higher is odder"),
        sa.Column(
            "p_value",
            sa.Double(),
            nullable=True,
            comment="chance that a normal record scores this high",
        ),
        sa.Column(
            "exceedance",
            sa.Double(),
            nullable=True,
            comment="score over threshold; 1.0 is the line",
        ),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="normal, anomaly, or absent (too little was there to judge)",
        ),
        sa.Column("detector_id", sa.Integer(), nullable=False, comment="who judged"),
        sa.Column("threshold_id", sa.Integer(), nullable=False, comment="by which line"),
        sa.Column(
            "late", sa.Boolean(), nullable=False, comment="older than a record read before it"
        ),
        sa.Column(
            "imputed_share",
            sa.Double(),
            nullable=False,
            comment="share of its judged cells that were missing",
        ),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], name="fk_scores_detector_id"),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_scores_monitor"),
        sa.ForeignKeyConstraint(["threshold_id"], ["thresholds.id"], name="fk_scores_threshold_id"),
        sa.PrimaryKeyConstraint("monitor", "entity", "record_key", "revision", name="pk_scores"),
        comment="one row for every judged record",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_scores_monitor_event_time", "scores", ["monitor", "event_time"], unique=False
    )
    op.create_table(
        "anomalies",
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column(
            "entity",
            sa.Text(),
            nullable=False,
            comment="the thing the record belongs to; empty if none",
        ),
        sa.Column(
            "record_key",
            sa.Text(),
            nullable=False,
            comment="the record's key in its source, as text",
        ),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="1 for the first score of a record"
        ),
        sa.Column(
            "event_time",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the record happened",
        ),
        sa.Column(
            "severity",
            sa.Text(),
            nullable=False,
            comment="warning, or critical from twice the threshold",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="one sentence: what was seen and what was expected",
        ),
        sa.Column("observed", JSON, nullable=False, comment="the record, in original units"),
        sa.Column(
            "reconstructed",
            JSON,
            nullable=False,
            comment="what it should have been, in original units",
        ),
        sa.ForeignKeyConstraint(
            ["monitor", "entity", "record_key", "revision"],
            ["scores.monitor", "scores.entity", "scores.record_key", "scores.revision"],
            name="fk_anomalies_monitor_entity_record_key_revision",
        ),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_anomalies_monitor"),
        sa.PrimaryKeyConstraint("monitor", "entity", "record_key", "revision", name="pk_anomalies"),
        comment="every record judged anomalous, with what was expected instead",
    )
    op.create_index(
        "ix_anomalies_monitor_event_time", "anomalies", ["monitor", "event_time"], unique=False
    )
    op.create_table(
        "contributions",
        sa.Column("monitor", sa.Text(), nullable=False, comment="the monitor's name"),
        sa.Column(
            "entity",
            sa.Text(),
            nullable=False,
            comment="the thing the record belongs to; empty if none",
        ),
        sa.Column(
            "record_key",
            sa.Text(),
            nullable=False,
            comment="the record's key in its source, as text",
        ),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="1 for the first score of a record"
        ),
        sa.Column("rank", sa.Integer(), nullable=False, comment="1 is the column most to blame"),
        sa.Column("feature", sa.Text(), nullable=False, comment="the source's column"),
        sa.Column(
            "observed", sa.Double(), nullable=True, comment="its value; null where it is no number"
        ),
        sa.Column(
            "reconstructed",
            sa.Double(),
            nullable=True,
            comment="the value expected; null if no number",
        ),
        sa.Column("observed_text", sa.Text(), nullable=True, comment="its value as text"),
        sa.Column(
            "reconstructed_text", sa.Text(), nullable=True, comment="the value expected, as text"
        ),
        sa.Column("error", sa.Double(), nullable=False, comment="its part of the score"),
        sa.Column(
            "share",
            sa.Double(),
            nullable=False,
            comment="its part of the blame; the shares of a record sum to 1",
        ),
        sa.ForeignKeyConstraint(
            ["monitor", "entity", "record_key", "revision"],
            ["scores.monitor", "scores.entity", "scores.record_key", "scores.revision"],
            name="fk_contributions_monitor_entity_record_key_revision",
        ),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_contributions_monitor"),
        sa.PrimaryKeyConstraint(
            "monitor", "entity", "record_key", "revision", "rank", name="pk_contributions"
        ),
        comment="the columns to blame for every anomaly",
    )
    op.execute("""
        CREATE VIEW flagged_records AS
        SELECT a.monitor, a.entity, a.event_time, a.record_key, a.severity,
               s.score, s.exceedance, s.p_value, a.reason,
               c.feature AS top_column,
               c.observed_text AS observed,
               c.reconstructed_text AS expected,
               c.share AS top_share,
               s.scored_at, d.version AS detector_version
        FROM anomalies a
        JOIN scores s ON s.monitor = a.monitor AND s.entity = a.entity
                     AND s.record_key = a.record_key AND s.revision = a.revision
        JOIN detectors d ON d.id = s.detector_id
        LEFT JOIN contributions c ON c.monitor = a.monitor AND c.entity = a.entity
                     AND c.record_key = a.record_key AND c.revision = a.revision AND c.rank = 1
    """)


def downgrade() -> None:
    op.execute("DROP VIEW flagged_records")
    op.drop_table("contributions")
    op.drop_index("ix_anomalies_monitor_event_time", table_name="anomalies")
    op.drop_table("anomalies")
    op.drop_index("ix_scores_monitor_event_time", table_name="scores")
    op.drop_table("scores")
    op.drop_table("thresholds")
    op.drop_table("watermarks")
    op.drop_index("ix_runs_monitor_job_started_at", table_name="runs")
    op.drop_table("runs")
    op.drop_table("history")
    op.drop_table("detectors")
    op.drop_table("monitors")
    op.drop_table("artifacts")
