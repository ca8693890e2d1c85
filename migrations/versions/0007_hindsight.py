"""Verdicts in hindsight, excused records; alarms and coverage by the day of the records."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

QUIET = "why it was suppressed: maintenance, snoozed, drift, direction, {}; null if it was not"
COMMENTS = {
    ("runs", "job"): ("score, train or prune", "score, train, prune or hindsight"),
    ("anomalies", "quiet"): (
        QUIET.format("small or few"),
        QUIET.format("small, few or excused"),
    ),
}
ALARMS = """
SELECT s.monitor, {event_day} AS event_day, {scored_day} AS scored_day,
       sum(CASE WHEN s.verdict = 'absent' THEN 0 ELSE 1 END) AS records_judged,
       sum(CASE WHEN s.verdict = 'absent' THEN 0 ELSE t.false_alarm_rate END) AS promised_alarms,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS flagged,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS suppressed
FROM scores s
JOIN thresholds t ON t.id = s.threshold_id
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {event_day}, {scored_day}
"""
COVERAGE = """
SELECT s.monitor, {event_day} AS event_day, {scored_day} AS scored_day,
       count(*) AS records_scored,
       sum(CASE WHEN s.verdict = 'absent' THEN 1 ELSE 0 END) AS records_absent,
       sum(CASE WHEN s.revision > 0 THEN 1 ELSE 0 END) AS records_revised,
       sum(CASE WHEN s.late THEN 1 ELSE 0 END) AS records_late,
       sum(CASE WHEN s.verdict = 'anomaly' THEN 1 ELSE 0 END) AS anomalies,
       sum(CASE WHEN s.verdict = 'suppressed' THEN 1 ELSE 0 END) AS records_suppressed
FROM scores s
WHERE s.superseded_at IS NULL
GROUP BY s.monitor, {event_day}, {scored_day}
"""
VIEWS = {
    "alarms_by_event_day": (
        (
            "by day of the records and day of their scoring: how many of the stored verdicts are "
            "anomalies, and how many were promised; a backlog is many event days scored on one"
        ),
        ALARMS,
    ),
    "coverage_by_event_day": (
        "by day of the records and day of their scoring: what became of the records with a verdict",
        COVERAGE,
    ),
}
DAYS = {
    "sqlite": "substr({}, 1, 10)",
    "postgresql": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def upgrade() -> None:
    day = DAYS[op.get_bind().dialect.name].format
    days = {"event_day": day("s.event_time"), "scored_day": day("s.scored_at")}
    for name, (comment, select) in VIEWS.items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {select.format(**days).strip()}"))
        if _postgresql():
            op.execute(f"COMMENT ON VIEW {name} IS '{comment}'")
    if _postgresql():
        for (table, column), (_, after) in COMMENTS.items():
            op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{after}'")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    # 0006 knows neither: a verdict in hindsight is one of a scoring run, an excused record snoozed.
    op.execute("UPDATE runs SET job = 'score' WHERE job = 'hindsight'")
    op.execute("UPDATE anomalies SET quiet = 'snoozed' WHERE quiet = 'excused'")
    if _postgresql():
        for (table, column), (before, _) in COMMENTS.items():
            op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{before}'")


def _postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
