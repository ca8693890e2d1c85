"""Records that are not judged, for the machine was not at work: counted apart, a verdict of theirs."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

IDLE = "scored records that were not judged, for the machine was not at work"
VERDICT = "normal, anomaly, suppressed (over the line, but to be kept quiet)"
ABSENT = "(too little was there to judge)"
VERDICTS = (
    f"{VERDICT} or absent {ABSENT}",
    f"{VERDICT}, absent {ABSENT} or idle (not judged, for the machine was not at work)",
)
DAYS = {
    "sqlite": r"substr(\1, 1, 10)",
    "postgresql": r"to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
VIEWS = {
    "coverage": (
        ("by day: how the scoring runs ended and what became of every record the source returned"),
        """
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
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read - records_rejected END)
           - sum(records_scored + records_revised) AS records_unaccounted,
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
        """
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
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read - records_rejected END)
           - sum(records_scored + records_revised) AS records_unaccounted,
       sum(records_absent) AS records_absent,
       sum(records_idle) AS records_idle,
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
    "alarm_budget": (
        "by day: how many records may be flagged as promised, and how many were",
        """
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
        """
SELECT monitor, day, records_judged, promised_rate,
       records_judged * promised_rate AS promised_alarms,
       flagged,
       flagged * 1.0 / nullif(records_judged, 0) AS realised_rate,
       flagged / nullif(records_judged * promised_rate, 0) AS budget_used
FROM (
    SELECT r.monitor, {day(r.started_at)} AS day,
           sum(r.records_scored + r.records_revised - r.records_absent - r.records_idle)
               AS records_judged,
           sum((r.records_scored + r.records_revised - r.records_absent - r.records_idle)
               * t.false_alarm_rate)
               / nullif(sum(r.records_scored + r.records_revised - r.records_absent
                            - r.records_idle), 0) AS promised_rate,
           sum(r.anomalies) AS flagged
    FROM runs r
    JOIN thresholds t ON t.id = r.threshold_id
    WHERE r.job = 'score'
    GROUP BY r.monitor, {day(r.started_at)}
) days
""",
    ),
    "alarms_by_event_day": (
        (
            "by day of the records and day of their scoring: how many of the stored verdicts "
            "are anomalies, and how many were promised; a backlog is many event days scored "
            "on one"
        ),
        """
SELECT s.monitor, {day(s.event_time)} AS event_day, {day(s.scored_at)} AS scored_day,
       sum(CASE WHEN s.verdict = 'absent' THEN 0 ELSE 1 END) AS records_judged,
       sum(CASE WHEN s.verdict = 'absent' THEN 0 ELSE t.false_alarm_rate END) AS promised_alarms,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS flagged,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS suppressed
FROM scores s
JOIN thresholds t ON t.id = s.threshold_id
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {day(s.event_time)}, {day(s.scored_at)}
""",
        """
SELECT s.monitor, {day(s.event_time)} AS event_day, {day(s.scored_at)} AS scored_day,
       sum(CASE WHEN s.verdict IN ('absent', 'idle') THEN 0 ELSE 1 END) AS records_judged,
       sum(CASE WHEN s.verdict IN ('absent', 'idle') THEN 0 ELSE t.false_alarm_rate END) AS promised_alarms,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS flagged,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS suppressed
FROM scores s
JOIN thresholds t ON t.id = s.threshold_id
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {day(s.event_time)}, {day(s.scored_at)}
""",
    ),
    "coverage_by_event_day": (
        (
            "by day of the records and day of their scoring: what became of the records with "
            "a verdict"
        ),
        """
SELECT s.monitor, {day(s.event_time)} AS event_day, {day(s.scored_at)} AS scored_day,
       count(*) AS records_scored,
       sum(CASE WHEN s.verdict = 'absent' THEN 1 ELSE 0 END) AS records_absent,
       sum(CASE WHEN s.revision > 0 THEN 1 ELSE 0 END) AS records_revised,
       sum(CASE WHEN s.late THEN 1 ELSE 0 END) AS records_late,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS anomalies,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS records_suppressed
FROM scores s
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {day(s.event_time)}, {day(s.scored_at)}
""",
        """
SELECT s.monitor, {day(s.event_time)} AS event_day, {day(s.scored_at)} AS scored_day,
       count(*) AS records_scored,
       sum(CASE WHEN s.verdict = 'absent' THEN 1 ELSE 0 END) AS records_absent,
       sum(CASE WHEN s.verdict = 'idle' THEN 1 ELSE 0 END) AS records_idle,
       sum(CASE WHEN s.revision > 0 THEN 1 ELSE 0 END) AS records_revised,
       sum(CASE WHEN s.late THEN 1 ELSE 0 END) AS records_late,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS anomalies,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS records_suppressed
FROM scores s
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {day(s.event_time)}, {day(s.scored_at)}
""",
    ),
}


def upgrade() -> None:
    _drop_views()
    op.add_column(
        "runs",
        sa.Column("records_idle", sa.Integer(), nullable=False, server_default="0", comment=IDLE),
    )
    _make_views(2)
    _comment(VERDICTS[1])


def downgrade() -> None:
    _drop_views()
    # 0008 knows no idle records: nothing was there to judge, as of absent ones.
    op.execute("UPDATE scores SET verdict = 'absent' WHERE verdict = 'idle'")
    op.execute("UPDATE runs SET records_absent = records_absent + records_idle")
    op.drop_column("runs", "records_idle")
    _make_views(1)
    _comment(VERDICTS[0])


def _drop_views() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")


def _make_views(which: int) -> None:
    dialect = op.get_bind().dialect.name
    for name, view in VIEWS.items():
        select = re.sub(r"\{day\(([\w.]+)\)\}", DAYS[dialect], view[which].strip())
        op.execute(sa.text(f"CREATE VIEW {name} AS\n{select}"))
        if dialect == "postgresql":
            op.execute(f"COMMENT ON VIEW {name} IS '{view[0]}'")


def _comment(verdict: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"COMMENT ON COLUMN scores.verdict IS '{verdict}'")
