"""The views for people who write SQL: plain column names, equal in SQLite and PostgreSQL.

The text of a view has two placeholders, because the databases differ in syntax:

- `{day(x)}` is replaced by the UTC day of a time as text, such as `2026-11-20`.
- `{then_join}` is replaced by a join that keeps the written order of tables. SQLite keeps this
  order only for CROSS JOIN. In another order, SQLite reads all scores of a day to find the few
  flagged records.
"""

import re
from typing import NamedTuple

_DAYS = {
    "sqlite": r"substr(\1, 1, 10)",
    "postgresql": r"to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
_THEN_JOIN = {"sqlite": "CROSS JOIN", "postgresql": "JOIN"}
_DAY = re.compile(r"\{day\(([\w.]+)\)\}")


class View(NamedTuple):
    """A view of the database.

    Attributes:
        name: name of the view.
        comment: what the rows of the view are.
        select: the SELECT statement, with the placeholders of this module.
    """

    name: str
    comment: str
    select: str

    def create(self, dialect: str) -> str:
        """Return the SQL statement that creates the view in `sqlite` or `postgresql`."""
        select = _DAY.sub(_DAYS[dialect], self.select.strip())
        return f"CREATE VIEW {self.name} AS\n" + select.replace("{then_join}", _THEN_JOIN[dialect])


_LAST_FEEDBACK = """(
        SELECT f.verdict FROM feedback f
        WHERE f.monitor = {of}.monitor AND f.record_key = {of}.record_key
          AND (f.entity IS NULL OR f.entity = {of}.entity) AND f.verdict <> 'ignore_until'
        ORDER BY f.id DESC LIMIT 1
    )"""

_SAME_SCORE = """s.monitor = a.monitor AND s.record_key = a.record_key
      AND s.entity = a.entity AND s.revision = a.revision AND s.event_time = a.event_time"""

_RANKED = """
LEFT JOIN contributions {name}
       ON {name}.monitor = a.monitor AND {name}.record_key = a.record_key
      AND {name}.entity = a.entity AND {name}.revision = a.revision AND {name}.rank = {rank}"""


def _above_threshold(verdict: str, also: str) -> str:
    """Return a SELECT of records above their threshold.

    Each row has the three columns that contribute most to the record.

    Args:
        verdict: verdict of the records, `anomaly` or `suppressed`.
        also: an additional column of the SELECT, in SQL.
    """
    return f"""
SELECT a.monitor, a.entity, a.event_time, a.record_key, a.severity,
       s.score, s.exceedance, s.p_value, a.reason,
       c1.feature AS top_column, c1.observed_text AS observed,
       c1.reconstructed_text AS expected, c1.share AS top_share,
       c2.feature AS second_column, c2.observed_text AS second_observed,
       c2.reconstructed_text AS second_expected, c2.share AS second_share,
       c3.feature AS third_column, c3.observed_text AS third_observed,
       c3.reconstructed_text AS third_expected, c3.share AS third_share,
       s.scored_at, s.revision, s.late, s.provisional, s.run_id, {also},
       d.version AS detector_version, t.value AS threshold,
       {_LAST_FEEDBACK.format(of="a")} AS feedback
FROM anomalies a
{{then_join}} scores s
       ON {_SAME_SCORE} AND s.superseded_at IS NULL
JOIN detectors d ON d.id = s.detector_id
JOIN thresholds t ON t.id = s.threshold_id
{_RANKED.format(name="c1", rank=1).strip()}
{_RANKED.format(name="c2", rank=2).strip()}
{_RANKED.format(name="c3", rank=3).strip()}
WHERE s.verdict = '{verdict}'
"""


FLAGGED_RECORDS = View(
    "flagged_records",
    "one row for every record that is flagged now, with its three top columns",
    _above_threshold("anomaly", "a.episode_id"),
)

SUPPRESSED_RECORDS = View(
    "suppressed_records",
    "one row for every suppressed record above the threshold, with the reason",
    _above_threshold("suppressed", "a.quiet"),
)

EPISODES_TOLD = View(
    "episodes_told",
    "one row for every episode that was long enough to be notified",
    """
SELECT e.id AS episode, e.monitor, e.entity, e.state, e.severity, e.started_at, e.ended_at,
       e.opened_at, e.acknowledged_at, e.records, e.peak_exceedance, e.peak_record_key,
       e.feature AS top_column, e.label, e.note,
       e.like_id AS like_episode, l.label AS like_label, e.likeness
FROM episodes e
LEFT JOIN episodes l ON l.id = e.like_id
WHERE e.opened_at IS NOT NULL
""",
)

DEAD_LETTERS = View(
    "dead_letters",
    "one row for every dead letter, with the reason; `aemon notify retry` tries again",
    """
SELECT n.id AS notification, n.receiver, n.event, n.monitor, e.entity, n.episode_id AS episode,
       e.severity, e.started_at, n.due_at, n.attempts, n.status, n.last_error
FROM notifications n
JOIN episodes e ON e.id = n.episode_id
WHERE n.state = 'dead'
""",
)

TOP_FEATURES = View(
    "top_features",
    "how often, and how much, each column contributes to flagged records, by day of event time",
    f"""
SELECT a.monitor, a.entity, {{day(a.event_time)}} AS day, c.feature,
       count(*) AS flagged_records,
       sum(CASE WHEN c.rank = 1 THEN 1 ELSE 0 END) AS times_first,
       avg(c.share) AS mean_share
FROM anomalies a
{{then_join}} scores s
       ON {_SAME_SCORE} AND s.superseded_at IS NULL AND s.verdict = 'anomaly'
JOIN contributions c
       ON c.monitor = a.monitor AND c.record_key = a.record_key
      AND c.entity = a.entity AND c.revision = a.revision
GROUP BY a.monitor, a.entity, {{day(a.event_time)}}, c.feature
""",
)

COVERAGE = View(
    "coverage",
    "by day: outcomes of the scoring runs, and of every record the source returned",
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
)

ALARM_BUDGET = View(
    "alarm_budget",
    "by day: how many records may be flagged at the target rate, and how many were flagged",
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
)

ALARMS_BY_EVENT_DAY = View(
    "alarms_by_event_day",
    "by day of the records and day of their scoring: how many of the stored verdicts are anomalies, "
    "and how many the target rate allows; a backlog is many event days scored on one day",
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
)

COVERAGE_BY_EVENT_DAY = View(
    "coverage_by_event_day",
    "by day of the records and day of their scoring: counts of the verdicts",
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
)

DETECTOR_PRECISION = View(
    "detector_precision",
    "for every detector: how many records it flagged, and the feedback on them",
    f"""
SELECT monitor, detector_version, flagged, confirmed, false_alarms,
       flagged - confirmed - false_alarms AS unlabelled,
       confirmed * 1.0 / nullif(confirmed + false_alarms, 0) AS precision
FROM (
    SELECT d.monitor, d.version AS detector_version, count(*) AS flagged,
           sum(CASE WHEN said = 'confirmed' THEN 1 ELSE 0 END) AS confirmed,
           sum(CASE WHEN said = 'false_alarm' THEN 1 ELSE 0 END) AS false_alarms
    FROM (
        SELECT DISTINCT s.detector_id, a.record_key, a.entity, {_LAST_FEEDBACK.format(of="a")} AS said
        FROM anomalies a
        {{then_join}} scores s
          ON {_SAME_SCORE} AND s.verdict = 'anomaly'
    ) flagged
    JOIN detectors d ON d.id = flagged.detector_id
    GROUP BY d.monitor, d.version
) counted
""",
)

VIEWS = (
    FLAGGED_RECORDS,
    SUPPRESSED_RECORDS,
    EPISODES_TOLD,
    DEAD_LETTERS,
    TOP_FEATURES,
    COVERAGE,
    ALARM_BUDGET,
    ALARMS_BY_EVENT_DAY,
    COVERAGE_BY_EVENT_DAY,
    DETECTOR_PRECISION,
)
