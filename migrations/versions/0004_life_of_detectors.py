"""The life of a detector: leases, trials, drifts, snoozes, and what is told of episodes."""

import re
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSONB().with_variant(sa.Text(), "sqlite")
NUMBER: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRUTH = sa.Boolean().with_variant(sa.Integer(), "sqlite")
IDENTIFIER = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)
for _parent in ("monitors", "detectors"):  # only to be referred to
    sa.Table(_parent, metadata, sa.Column("name", sa.Text), sa.Column("id", sa.Integer))


def _column(name: str, kind: Any, comment: str, *extra: Any, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, kind, *extra, comment=comment, **options)


def _table(name: str, *parts: Any, comment: str) -> sa.Table:
    return sa.Table(name, metadata, *parts, comment=comment, sqlite_strict=True)


def _monitor(**options: Any) -> sa.Column[Any]:
    return _column(
        "monitor", sa.Text, "the monitor's name", sa.ForeignKey("monitors.name"), **options
    )


def _of_detector() -> sa.Column[Any]:
    return _column(
        "detector_id",
        sa.Integer,
        "the detector on trial",
        sa.ForeignKey("detectors.id"),
        primary_key=True,
        autoincrement=False,
    )


TABLES = (
    _table(
        "replicas",
        _column("name", sa.Text, "a daemon's own name", primary_key=True),
        _column("address", sa.Text, "host:port it serves its metrics on"),
        _column("version", sa.Text, "of aemon"),
        _column("started_at", TIME, "when it started"),
        _column("seen_at", TIME, "when it last said that it lives, by the database's clock"),
        comment="the daemons that share this store",
    ),
    _table(
        "leases",
        _monitor(primary_key=True),
        _column("holder", sa.Text, "the replica that watches it; empty once given back"),
        _column("token", WHOLE, "grows with every change of hands; an older one may not write"),
        _column("taken_at", TIME, "when it changed hands last"),
        _column("expires_at", TIME, "free for others from then on, by the database's clock"),
        sa.Index(None, "holder"),
        comment="which replica watches which monitor",
    ),
    _table(
        "snoozes",
        _column("id", WHOLE, "identifies a snooze", primary_key=True),
        _monitor(),
        _column("entity", IDENTIFIER, "whose anomalies; null means all", nullable=True),
        _column("since", TIME, "event time from which anomalies are suppressed"),
        _column("until", TIME, "event time up to which they are"),
        _column("note", sa.Text, "why, in a person's words", server_default=""),
        _column("created_at", TIME, "when it was said"),
        sa.Index(None, "monitor", "until"),
        comment="stretches in which anomalies are stored as suppressed, because somebody said so",
    ),
    _table(
        "drifts",
        _column("id", WHOLE, "identifies a drift", primary_key=True),
        _monitor(),
        _column(
            "kind", sa.Text, "scores (all of them), column (one of them) or shift (a new level)"
        ),
        _column(
            "feature", sa.Text, "the column; empty where it is no single one", server_default=""
        ),
        _column(
            "entity", IDENTIFIER, "the entity; empty where it is all of them", server_default=""
        ),
        _column("state", sa.Text, "open, learned (a new level that is normal now) or closed"),
        _column("started_at", TIME, "event time from which life was another"),
        _column("detected_at", TIME, "when aemon was sure of it"),
        _column(
            "ended_at", TIME, "when it was over: a new detector, or back to normal", nullable=True
        ),
        _column(
            "measure", NUMBER, "log10 of the evidence, PSI of the column, or records of the shift"
        ),
        _column("reason", sa.Text, "in plain words, what moved and how it ended"),
        _column("detector_id", sa.Integer, "whose normal life it has moved away from"),
        sa.Index(None, "monitor", "state"),
        sa.Index(None, "monitor", "detected_at"),
        comment="changes of normal life: each asks for a new detector, and pages nobody",
    ),
    _table(
        "live_states",
        _monitor(primary_key=True),
        _column("detector_id", sa.Integer, "the detector it is about"),
        _column("state", JSON, "evidence of drift and counts of columns since that began to judge"),
        _column("updated_at", TIME, "when it was written last"),
        comment="what a monitor remembers of the records it judged, written with their verdicts",
    ),
    _table(
        "trials",
        _of_detector(),
        _column("active_id", sa.Integer, "the active one it is held against"),
        _column("began_at", TIME, "when it judged first"),
        _column("updated_at", TIME, "when it judged last"),
        _column("records", sa.Integer, "records that both could judge"),
        _column("flagged", sa.Integer, "of those, flagged by the one on trial"),
        _column("flagged_by_active", sa.Integer, "flagged by the active one"),
        _column("flagged_by_both", sa.Integer, "flagged by both"),
        _column("critical_by_active", sa.Integer, "critical by the active one"),
        _column("critical_kept", sa.Integer, "of those, flagged by the one on trial, too"),
        comment="how detectors in the shadow did beside the active one",
    ),
    _table(
        "trial_verdicts",
        _of_detector(),
        _column("record_key", IDENTIFIER, "the record's key", primary_key=True),
        _column("entity", IDENTIFIER, "the thing it belongs to; empty if none", primary_key=True),
        _column("event_time", TIME, "when the record happened"),
        _column("exceedance", NUMBER, "score over threshold, by the one on trial"),
        _column("active_exceedance", NUMBER, "by the active one"),
        comment="records that the detector on trial or the active one flagged",
    ),
)


def _added() -> tuple[tuple[str, tuple[sa.Column[Any], ...]], ...]:
    """New columns of old tables, made afresh each time: adding one binds it."""
    return (
        (
            "detectors",
            (
                _column(
                    "asked_by", sa.Text, "what asked for its training, and why", server_default=""
                ),
                _column("state_at", TIME, "when its state changed last", nullable=True),
                _column("state_reason", sa.Text, "why it is in that state", server_default=""),
            ),
        ),
        (
            "thresholds",
            (
                _column(
                    "artifact_sha256",
                    sa.Text,
                    "the lines, where they were drawn after the training; null for those of the "
                    "training",
                    nullable=True,
                ),
                _column("reason", sa.Text, "why it was drawn", server_default=""),
            ),
        ),
        (
            "runs",
            (
                _column(
                    "records_suppressed",
                    sa.Integer,
                    "records over the line that were to be kept quiet",
                    server_default="0",
                ),
            ),
        ),
        (
            "scores",
            (
                _column(
                    "provisional",
                    TRUTH,
                    "judged before there were enough records to show the promised rate",
                    server_default="0",
                ),
            ),
        ),
        (
            "anomalies",
            (
                _column(
                    "quiet",
                    sa.Text,
                    "why it was suppressed: maintenance, snoozed, drift, direction, small or few; null if it "
                    "was not",
                    nullable=True,
                ),
            ),
        ),
        (
            "episodes",
            (
                _column(
                    "opened_at",
                    TIME,
                    "when it was long enough to be told; null if it never was",
                    nullable=True,
                ),
                _column("acknowledged_at", TIME, "when a person took it up", nullable=True),
                _column("note", sa.Text, "what a person said of it", server_default=""),
                _column(
                    "label", sa.Text, "what a person calls it: stuck sensor", server_default=""
                ),
                _column(
                    "pattern",
                    JSON,
                    "each column's shares of the blame, those below expectation negative, summed",
                    nullable=True,
                ),
                _column("like_id", WHOLE, "an earlier episode that looked the same", nullable=True),
                _column("likeness", NUMBER, "how much it looked so; 1 is the same", nullable=True),
            ),
        ),
    )


# (table, column, comment before, comment after)
COMMENTS = (
    (
        "detectors",
        "state",
        "shadow, active or retired",
        "shadow (on trial), active, retired, or rejected by its trial",
    ),
    (
        "scores",
        "verdict",
        "normal, anomaly, or absent (too little was there to judge)",
        (
            "normal, anomaly, suppressed (over the line, but to be kept quiet) or absent (too little "
            "was there to judge)"
        ),
    ),
    (
        "episodes",
        "state",
        "open, or closed once enough normal records followed",
        (
            "forming (too short to be told), open, acknowledged, or closed once enough calm records "
            "followed"
        ),
    ),
)

VIEWS = (
    (
        "flagged_records",
        "one row for every record that is flagged as far as we know now, with its three top columns",
        r"""
SELECT a.monitor, a.entity, a.event_time, a.record_key, a.severity,
       s.score, s.exceedance, s.p_value, a.reason,
       c1.feature AS top_column, c1.observed_text AS observed,
       c1.reconstructed_text AS expected, c1.share AS top_share,
       c2.feature AS second_column, c2.observed_text AS second_observed,
       c2.reconstructed_text AS second_expected, c2.share AS second_share,
       c3.feature AS third_column, c3.observed_text AS third_observed,
       c3.reconstructed_text AS third_expected, c3.share AS third_share,
       s.scored_at, s.revision, s.late, s.provisional, s.run_id, a.episode_id,
       d.version AS detector_version, t.value AS threshold,
       (
        SELECT f.verdict FROM feedback f
        WHERE f.monitor = a.monitor AND f.record_key = a.record_key
          AND (f.entity IS NULL OR f.entity = a.entity) AND f.verdict <> 'ignore_until'
        ORDER BY f.id DESC LIMIT 1
    ) AS feedback
FROM anomalies a
{then_join} scores s
       ON s.monitor = a.monitor AND s.record_key = a.record_key
      AND s.entity = a.entity AND s.revision = a.revision AND s.event_time = a.event_time AND s.superseded_at IS NULL
JOIN detectors d ON d.id = s.detector_id
JOIN thresholds t ON t.id = s.threshold_id
LEFT JOIN contributions c1
       ON c1.monitor = a.monitor AND c1.record_key = a.record_key
      AND c1.entity = a.entity AND c1.revision = a.revision AND c1.rank = 1
LEFT JOIN contributions c2
       ON c2.monitor = a.monitor AND c2.record_key = a.record_key
      AND c2.entity = a.entity AND c2.revision = a.revision AND c2.rank = 2
LEFT JOIN contributions c3
       ON c3.monitor = a.monitor AND c3.record_key = a.record_key
      AND c3.entity = a.entity AND c3.revision = a.revision AND c3.rank = 3
WHERE s.verdict = 'anomaly'
""",
    ),
    (
        "suppressed_records",
        "one row for every record over the line that was to be kept quiet, and why",
        r"""
SELECT a.monitor, a.entity, a.event_time, a.record_key, a.severity,
       s.score, s.exceedance, s.p_value, a.reason,
       c1.feature AS top_column, c1.observed_text AS observed,
       c1.reconstructed_text AS expected, c1.share AS top_share,
       c2.feature AS second_column, c2.observed_text AS second_observed,
       c2.reconstructed_text AS second_expected, c2.share AS second_share,
       c3.feature AS third_column, c3.observed_text AS third_observed,
       c3.reconstructed_text AS third_expected, c3.share AS third_share,
       s.scored_at, s.revision, s.late, s.provisional, s.run_id, a.quiet,
       d.version AS detector_version, t.value AS threshold,
       (
        SELECT f.verdict FROM feedback f
        WHERE f.monitor = a.monitor AND f.record_key = a.record_key
          AND (f.entity IS NULL OR f.entity = a.entity) AND f.verdict <> 'ignore_until'
        ORDER BY f.id DESC LIMIT 1
    ) AS feedback
FROM anomalies a
{then_join} scores s
       ON s.monitor = a.monitor AND s.record_key = a.record_key
      AND s.entity = a.entity AND s.revision = a.revision AND s.event_time = a.event_time AND s.superseded_at IS NULL
JOIN detectors d ON d.id = s.detector_id
JOIN thresholds t ON t.id = s.threshold_id
LEFT JOIN contributions c1
       ON c1.monitor = a.monitor AND c1.record_key = a.record_key
      AND c1.entity = a.entity AND c1.revision = a.revision AND c1.rank = 1
LEFT JOIN contributions c2
       ON c2.monitor = a.monitor AND c2.record_key = a.record_key
      AND c2.entity = a.entity AND c2.revision = a.revision AND c2.rank = 2
LEFT JOIN contributions c3
       ON c3.monitor = a.monitor AND c3.record_key = a.record_key
      AND c3.entity = a.entity AND c3.revision = a.revision AND c3.rank = 3
WHERE s.verdict = 'suppressed'
""",
    ),
    (
        "episodes_told",
        "one row for every episode that was long enough to be told",
        r"""
SELECT e.id AS episode, e.monitor, e.entity, e.state, e.severity, e.started_at, e.ended_at,
       e.opened_at, e.acknowledged_at, e.records, e.peak_exceedance, e.peak_record_key,
       e.feature AS top_column, e.label, e.note,
       e.like_id AS like_episode, l.label AS like_label, e.likeness
FROM episodes e
LEFT JOIN episodes l ON l.id = e.like_id
WHERE e.opened_at IS NOT NULL
""",
    ),
    (
        "top_features",
        "how often, and how much, each column is to blame for flagged records, by day of event time",
        r"""
SELECT a.monitor, a.entity, {day(a.event_time)} AS day, c.feature,
       count(*) AS flagged_records,
       sum(CASE WHEN c.rank = 1 THEN 1 ELSE 0 END) AS times_first,
       avg(c.share) AS mean_share
FROM anomalies a
{then_join} scores s
       ON s.monitor = a.monitor AND s.record_key = a.record_key
      AND s.entity = a.entity AND s.revision = a.revision AND s.event_time = a.event_time AND s.superseded_at IS NULL AND s.verdict = 'anomaly'
JOIN contributions c
       ON c.monitor = a.monitor AND c.record_key = a.record_key
      AND c.entity = a.entity AND c.revision = a.revision
GROUP BY a.monitor, a.entity, {day(a.event_time)}, c.feature
""",
    ),
    (
        "coverage",
        "by day: how the scoring runs ended and what became of every record the source returned",
        r"""
SELECT monitor, {day(started_at)} AS day,
       count(*) AS runs,
       sum(CASE WHEN outcome IN ('ok', 'no_data') THEN 1 ELSE 0 END) AS runs_well,
       sum(CASE WHEN outcome = 'collecting' THEN 1 ELSE 0 END) AS runs_collecting,
       sum(CASE WHEN outcome IN ('failed', 'timed_out', 'abandoned') THEN 1 ELSE 0 END)
           AS runs_failed,
       sum(CASE WHEN outcome IN ('misfired', 'skipped') THEN 1 ELSE 0 END) AS runs_missed,
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read END) AS records_read,
       sum(records_scored) AS records_scored,
       sum(records_revised) AS records_revised,
       sum(records_rejected) AS records_rejected,
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read END)
           - sum(records_scored + records_revised + records_rejected) AS records_unaccounted,
       sum(records_absent) AS records_absent,
       sum(records_late) AS records_late,
       sum(records_too_late) AS records_too_late,
       sum(records_reviewed) AS records_reviewed,
       sum(anomalies) AS anomalies,
       sum(records_suppressed) AS records_suppressed
FROM runs
WHERE job = 'score'
GROUP BY monitor, {day(started_at)}
""",
    ),
    (
        "alarm_budget",
        "by day: how many records may be flagged as promised, and how many were",
        r"""
SELECT monitor, day, records_judged, promised_rate,
       records_judged * promised_rate AS promised_alarms,
       flagged,
       flagged * 1.0 / nullif(records_judged, 0) AS realised_rate,
       flagged / nullif(records_judged * promised_rate, 0) AS budget_used
FROM (
    SELECT r.monitor, {day(r.started_at)} AS day,
           sum(r.records_scored + r.records_revised - r.records_absent) AS records_judged,
           sum((r.records_scored + r.records_revised - r.records_absent) * t.false_alarm_rate)
               / nullif(sum(r.records_scored + r.records_revised - r.records_absent), 0) AS promised_rate,
           sum(r.anomalies) AS flagged
    FROM runs r
    JOIN thresholds t ON t.id = r.threshold_id
    WHERE r.job = 'score'
    GROUP BY r.monitor, {day(r.started_at)}
) days
""",
    ),
    (
        "detector_precision",
        "for every detector: what it flagged, and what people said of that",
        r"""
SELECT monitor, detector_version, flagged, confirmed, false_alarms,
       flagged - confirmed - false_alarms AS unlabelled,
       confirmed * 1.0 / nullif(confirmed + false_alarms, 0) AS precision
FROM (
    SELECT d.monitor, d.version AS detector_version, count(*) AS flagged,
           sum(CASE WHEN said = 'confirmed' THEN 1 ELSE 0 END) AS confirmed,
           sum(CASE WHEN said = 'false_alarm' THEN 1 ELSE 0 END) AS false_alarms
    FROM (
        SELECT DISTINCT s.detector_id, a.record_key, a.entity, (
        SELECT f.verdict FROM feedback f
        WHERE f.monitor = a.monitor AND f.record_key = a.record_key
          AND (f.entity IS NULL OR f.entity = a.entity) AND f.verdict <> 'ignore_until'
        ORDER BY f.id DESC LIMIT 1
    ) AS said
        FROM anomalies a
        {then_join} scores s
          ON s.monitor = a.monitor AND s.record_key = a.record_key
      AND s.entity = a.entity AND s.revision = a.revision AND s.event_time = a.event_time AND s.verdict = 'anomaly'
    ) flagged
    JOIN detectors d ON d.id = flagged.detector_id
    GROUP BY d.monitor, d.version
) counted
""",
    ),
)
DAYS = {
    "sqlite": r"substr(\1, 1, 10)",
    "postgresql": r"to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def upgrade() -> None:
    earlier = context.script.get_revision("0003").module.VIEWS
    for name, _, _ in reversed(earlier):
        op.execute(f"DROP VIEW {name}")
    for table, columns in _added():
        for column in columns:
            op.add_column(table, column)
    metadata.create_all(op.get_bind(), tables=list(TABLES), checkfirst=False)
    # What was told before there was a least length was long enough.
    op.execute("UPDATE episodes SET opened_at = started_at")
    op.execute("UPDATE detectors SET state_at = trained_at")
    for table, name, before, after in COMMENTS:
        _comment(table, name, before, after)
    _make_views(VIEWS)


def downgrade() -> None:
    for name, _, _ in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for table in reversed(TABLES):
        op.drop_table(table.name)
    # What 0003 has no word for: shadows judge nothing, a suppressed record was over the line.
    op.execute("UPDATE detectors SET state = 'retired' WHERE state IN ('shadow', 'rejected')")
    op.execute("UPDATE scores SET verdict = 'anomaly' WHERE verdict = 'suppressed'")
    op.execute("UPDATE episodes SET state = 'open' WHERE state IN ('forming', 'acknowledged')")
    op.execute(
        "DELETE FROM thresholds WHERE artifact_sha256 IS NOT NULL AND id NOT IN"
        " (SELECT threshold_id FROM scores) AND id NOT IN"
        " (SELECT threshold_id FROM runs WHERE threshold_id IS NOT NULL)"
    )
    for table, name, before, after in COMMENTS:
        _comment(table, name, after, before)
    for table, columns in reversed(_added()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
    _make_views(context.script.get_revision("0003").module.VIEWS)


def _make_views(views: Any) -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, comment, select in views:
        text = re.sub(r"\{day\(([\w.]+)\)\}", DAYS[op.get_bind().dialect.name], select)
        text = text.replace("{then_join}", "JOIN" if postgres else "CROSS JOIN")
        op.execute(sa.text(f"CREATE VIEW {name} AS {text}"))
        if postgres:
            op.execute(f"COMMENT ON VIEW {name} IS '{comment.replace(chr(39), chr(39) * 2)}'")


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
