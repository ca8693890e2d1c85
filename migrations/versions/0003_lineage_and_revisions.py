"""Lineage, revisions and feedback: strict tables, scores by month, five views.

Most tables change their keys or their types, so all of them are made anew and their rows carried
over. What stands here is frozen: later revisions change `aemon.store.schema.tables`, not this.
"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
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
            "record_key", IDENTIFIER, "the record's key in its source, as text", primary_key=True
        ),
        _column("entity", IDENTIFIER, entity, primary_key=True),
        _column("revision", sa.Integer, "1 for the first score of a record", primary_key=True),
    )


_table(
    "monitors",
    _column("name", sa.Text, "as in the configuration", primary_key=True),
    _column("created_at", TIME, "when aemon first ran it"),
    comment="the configured units that are watched",
)

_table(
    "artifacts",
    _column("sha256", sa.Text, "hash of the content, checked at every load", primary_key=True),
    _column("format_version", sa.Integer, "how to read the content"),
    _column("content", sa.LargeBinary, "safetensors: weights, and JSON metadata in its header"),
    comment="trained detectors as files that hold no code",
)

_table(
    "detectors",
    _column("id", sa.Integer, "identifies a detector", primary_key=True),
    _monitor(_of_monitors()),
    _column("version", sa.Integer, "1, 2, 3 ... within the monitor"),
    _column("state", sa.Text, "shadow, active or retired"),
    _column("trained_at", TIME, "when its training ended"),
    _column("trained_from", TIME, "event time of the oldest record it learned from"),
    _column("trained_until", TIME, "event time of the newest record it learned from"),
    _column("training_records", sa.Integer, "records that shaped the weights"),
    _column(
        "validation_records", sa.Integer, "records it was tried on by members that never saw them"
    ),
    _column("calibration_records", sa.Integer, "records that set the threshold"),
    _column("seed", sa.Integer, "seed of everything random in its training"),
    _column("validation_error", NUMBER, "mean squared reconstruction error, in spreads"),
    _column("settings_hash", sa.Text, "sha256 of the settings it was trained with"),
    _column("feature_map_hash", sa.Text, "sha256 of its feature map"),
    _column("data_hash", sa.Text, "sha256 of the records it learned from"),
    _column("versions", JSON, "versions of aemon and the libraries that trained it"),
    _column(
        "manifest",
        JSON,
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

_table(
    "thresholds",
    _column("id", sa.Integer, "identifies a threshold", primary_key=True),
    _column("detector_id", sa.Integer, "the detector it judges for", sa.ForeignKey("detectors.id")),
    _column("value", NUMBER, "a record is anomalous if its score is above this"),
    _column(
        "method",
        sa.Text,
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    _column("false_alarm_rate", NUMBER, "promised share of normal records flagged"),
    _column("calibration_records", sa.Integer, "held-out normal records it was learned from"),
    _column("created_at", TIME, "when it was learned"),
    sa.Index(None, "detector_id"),
    comment="every decision line ever drawn",
)

_table(
    "runs",
    _column("id", WHOLE, "identifies a run", primary_key=True),
    _monitor(_of_monitors()),
    _column("job", sa.Text, "score, train or prune"),
    _column(
        "outcome",
        sa.Text,
        "ok, no_data, collecting, skipped, misfired, abandoned, timed_out or failed; "
        "running while it has committed something and has not ended",
    ),
    _column("reason", sa.Text, "why it ended so, in plain words"),
    _column("started_at", TIME, "when it started"),
    _column("finished_at", TIME, "when it ended, or committed last"),
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
_table(
    "scores",
    *_record_identity(),
    # PostgreSQL wants what it partitions by in every unique key. That a record has one revision 2,
    # whatever its time, follows from the writers' taking turns at the watermark's row.
    _column("event_time", TIME, "when the record happened", primary_key=True),
    _column("scored_at", TIME, "when it was judged"),
    _column(
        "superseded_at",
        TIME,
        "when a newer revision took its place; null while it is what we know",
        nullable=True,
    ),
    _column("score", NUMBER, "how odd it is; higher is odder", nullable=True),
    _column("p_value", NUMBER, "chance that a normal record scores this high", nullable=True),
    _column("exceedance", NUMBER, "score over threshold; 1.0 is the line", nullable=True),
    _column("verdict", sa.Text, "normal, anomaly, or absent (too little was there to judge)"),
    _column("detector_id", sa.Integer, "who judged"),
    _column("threshold_id", sa.Integer, "by which line"),
    _column("run_id", WHOLE, "the run of the ledger it was judged in", nullable=True),
    _column("late", TRUTH, "older than a record read before it"),
    _column("imputed_share", NUMBER, "share of its judged cells that were missing"),
    _column(
        "record_hash", WHOLE, "fingerprint of the record's values; null if not taken", nullable=True
    ),
    sa.Index(None, "monitor", "event_time"),
    comment="one row for every judged record and revision",
    # One b-tree instead of two: the key is what every lookup and every conflict check uses.
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (event_time)",
)

_table(
    "episodes",
    _column("id", WHOLE, "identifies an episode", primary_key=True),
    _monitor(_of_monitors()),
    _column("entity", IDENTIFIER, "the thing it happened to; empty if none"),
    _column("state", sa.Text, "open, or closed once enough normal records followed"),
    _column("started_at", TIME, "event time of its first anomaly"),
    _column("ended_at", TIME, "event time of its last anomaly so far"),
    _column("records", sa.Integer, "anomalies told in it, also those corrected since"),
    _column("severity", sa.Text, "that of its severest anomaly"),
    _column("peak_exceedance", NUMBER, "largest score over threshold in it"),
    _column("peak_record_key", IDENTIFIER, "the anomaly with that"),
    _column("feature", sa.Text, "the column most to blame over the whole of it"),
    _column("blame", JSON, "each column's shares of the blame, summed over its anomalies"),
    _column("calm_records", sa.Integer, "normal records since its last anomaly"),
    _column("updated_at", TIME, "when it was written last"),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "entity", "started_at"),
    comment="runs of adjacent anomalies of one entity",
)

_table(
    "anomalies",
    *_record_identity(_of_monitors()),
    _column("event_time", TIME, "when the record happened"),
    _column(
        "severity",
        sa.Text,
        "warning, or critical above the critical line, which normal records cross more seldom",
    ),
    _column("reason", sa.Text, "one sentence: what was seen and what was expected"),
    _column("observed", JSON, "the record, in original units"),
    _column("reconstructed", JSON, "what it should have been, in original units"),
    _column(
        "episode_id",
        WHOLE,
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

_table(
    "contributions",
    *_record_identity(),
    _column("rank", sa.Integer, "1 is the column most to blame", primary_key=True),
    _column("feature", sa.Text, "the source's column"),
    _column("observed", NUMBER, "its value; null where it is no number", nullable=True),
    _column("reconstructed", NUMBER, "the value expected; null if no number", nullable=True),
    _column("observed_text", sa.Text, "its value as text", nullable=True),
    _column("reconstructed_text", sa.Text, "the value expected, as text", nullable=True),
    _column("error", NUMBER, "its squared gap from what is expected, in usual gaps"),
    _column("share", NUMBER, "its part of the blame; the shares of a record sum to 1"),
    sa.ForeignKeyConstraint(
        ["monitor", "record_key", "entity", "revision"],
        [f"anomalies.{name}" for name in ("monitor", "record_key", "entity", "revision")],
        name="fk_contributions_anomalies",
        ondelete="CASCADE",
    ),
    comment="the columns to blame for every anomaly",
)

_table(
    "feedback",
    _column("id", WHOLE, "identifies what was said", primary_key=True),
    _monitor(_of_monitors()),
    _column("record_key", IDENTIFIER, "the record it is about", nullable=True),
    _column(
        "entity", IDENTIFIER, "whose record; null means all with this key, or all", nullable=True
    ),
    _column("verdict", sa.Text, "false_alarm, confirmed or ignore_until"),
    _column("until", TIME, "ignore_until: nothing is learned up to this event time", nullable=True),
    _column("note", sa.Text, "why, in a person's words", server_default=""),
    _column("created_at", TIME, "when it was said", server_default=sa.func.current_timestamp()),
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

_table(
    "watermarks",
    _monitor(_of_monitors(), primary_key=True),
    _column("event_time", TIME, "time of the last record read", nullable=True),
    _column("record_key", sa.Text, "key of the last record read"),
    _column("position", sa.Text, "the source's own note of where it is"),
    _column("source", sa.Text, "what is read, so that a position is not used for another source"),
    _column("generation", sa.Integer, "grows by one at every move; a stale writer is refused"),
    _column("updated_at", TIME, "when it moved last"),
    _column(
        "settled",
        JSON,
        "up to here no record is looked for any more",
        nullable=True,
    ),
    comment="how far each monitor has read its source",
)

_table(
    "history",
    _column("id", WHOLE, "order of arrival", primary_key=True),
    _monitor(_of_monitors()),
    _column("record_key", sa.Text, "the record's key"),
    _column("event_time", TIME, "when the record happened"),
    _column("record", JSON, "its columns and values"),
    sa.UniqueConstraint("monitor", "record_key"),
    comment="records of sources that cannot be read twice, kept to learn from",
)

_SAID = """(
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

FLAGGED_RECORDS = (
    "flagged_records",
    "one row for every record that is flagged as far as we know now, with its three top columns",
    f"""
SELECT a.monitor, a.entity, a.event_time, a.record_key, a.severity,
       s.score, s.exceedance, s.p_value, a.reason,
       c1.feature AS top_column, c1.observed_text AS observed,
       c1.reconstructed_text AS expected, c1.share AS top_share,
       c2.feature AS second_column, c2.observed_text AS second_observed,
       c2.reconstructed_text AS second_expected, c2.share AS second_share,
       c3.feature AS third_column, c3.observed_text AS third_observed,
       c3.reconstructed_text AS third_expected, c3.share AS third_share,
       s.scored_at, s.revision, s.late, s.run_id, a.episode_id,
       d.version AS detector_version, t.value AS threshold,
       {_SAID.format(of="a")} AS feedback
FROM anomalies a
{{then_join}} scores s
       ON {_SAME_SCORE} AND s.superseded_at IS NULL
JOIN detectors d ON d.id = s.detector_id
JOIN thresholds t ON t.id = s.threshold_id
{_RANKED.format(name="c1", rank=1).strip()}
{_RANKED.format(name="c2", rank=2).strip()}
{_RANKED.format(name="c3", rank=3).strip()}
""",
)

TOP_FEATURES = (
    "top_features",
    "how often, and how much, each column is to blame for flagged records, by day of event time",
    f"""
SELECT a.monitor, a.entity, {{day(a.event_time)}} AS day, c.feature,
       count(*) AS flagged_records,
       sum(CASE WHEN c.rank = 1 THEN 1 ELSE 0 END) AS times_first,
       avg(c.share) AS mean_share
FROM anomalies a
{{then_join}} scores s
       ON {_SAME_SCORE} AND s.superseded_at IS NULL
JOIN contributions c
       ON c.monitor = a.monitor AND c.record_key = a.record_key
      AND c.entity = a.entity AND c.revision = a.revision
GROUP BY a.monitor, a.entity, {{day(a.event_time)}}, c.feature
""",
)

COVERAGE = (
    "coverage",
    "by day: how the scoring runs ended and what became of every record the source returned",
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
       sum(CASE WHEN outcome = 'collecting' THEN 0 ELSE records_read END)
           - sum(records_scored + records_revised + records_rejected) AS records_unaccounted,
       sum(records_absent) AS records_absent,
       sum(records_late) AS records_late,
       sum(records_too_late) AS records_too_late,
       sum(records_reviewed) AS records_reviewed,
       sum(anomalies) AS anomalies
FROM runs
WHERE job = 'score'
GROUP BY monitor, {day(started_at)}
""",
)

ALARM_BUDGET = (
    "alarm_budget",
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
)

DETECTOR_PRECISION = (
    "detector_precision",
    "for every detector: what it flagged, and what people said of that",
    f"""
SELECT monitor, detector_version, flagged, confirmed, false_alarms,
       flagged - confirmed - false_alarms AS unlabelled,
       confirmed * 1.0 / nullif(confirmed + false_alarms, 0) AS precision
FROM (
    SELECT d.monitor, d.version AS detector_version, count(*) AS flagged,
           sum(CASE WHEN said = 'confirmed' THEN 1 ELSE 0 END) AS confirmed,
           sum(CASE WHEN said = 'false_alarm' THEN 1 ELSE 0 END) AS false_alarms
    FROM (
        SELECT DISTINCT s.detector_id, a.record_key, a.entity, {_SAID.format(of="a")} AS said
        FROM anomalies a
        {{then_join}} scores s
          ON {_SAME_SCORE}
    ) flagged
    JOIN detectors d ON d.id = flagged.detector_id
    GROUP BY d.monitor, d.version
) counted
""",
)


VIEWS = (FLAGGED_RECORDS, TOP_FEATURES, COVERAGE, ALARM_BUDGET, DETECTOR_PRECISION)
DAYS = {
    "sqlite": r"substr(\1, 1, 10)",
    "postgresql": r"to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
CARRIED = (  # parents first, by the foreign keys of both schemas
    "artifacts", "monitors", "detectors", "thresholds", "runs", "watermarks", "history",
    "scores", "anomalies", "contributions",
)  # fmt: skip
NUMBERED = ("detectors", "thresholds", "runs", "history")


def upgrade() -> None:
    op.execute("DROP VIEW flagged_records")
    columns = _set_aside()
    metadata.create_all(op.get_bind(), checkfirst=False)
    _make_partitions()
    _bring_back(columns)
    op.execute("UPDATE detectors SET artifact_sha256 = NULL WHERE artifact_sha256 = ''")
    op.execute("DELETE FROM artifacts WHERE sha256 = ''")
    for name, comment, select in VIEWS:
        text = re.sub(r"\{day\(([\w.]+)\)\}", DAYS[op.get_bind().dialect.name], select)
        text = text.replace("{then_join}", "JOIN" if _postgresql() else "CROSS JOIN")
        op.execute(sa.text(f"CREATE VIEW {name} AS {text}"))
        if _postgresql():
            op.execute(f"COMMENT ON VIEW {name} IS '{comment.replace(chr(39), chr(39) * 2)}'")


def downgrade() -> None:
    for name, _, _ in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_table("feedback")
    op.execute("UPDATE anomalies SET episode_id = NULL")
    op.execute("DROP TABLE episodes" + (" CASCADE" if _postgresql() else ""))
    # What retention has removed had its place there.
    removed = "EXISTS (SELECT 1 FROM detectors WHERE artifact_sha256 IS NULL)"
    op.get_bind().execute(
        sa.text(
            f"INSERT INTO artifacts SELECT '', 0, CAST(:content AS {_bytes()}) WHERE {removed}"
        ),
        {"content": b""},
    )
    op.execute("UPDATE detectors SET artifact_sha256 = '' WHERE artifact_sha256 IS NULL")
    _set_aside()
    for earlier in ("0001", "0002"):
        context.script.get_revision(earlier).module.upgrade()
    there = sa.inspect(op.get_bind())
    columns = {name: [column["name"] for column in there.get_columns(name)] for name in CARRIED}
    _bring_back(columns)


def _postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _bytes() -> str:
    return "bytea" if _postgresql() else "blob"


def _set_aside() -> dict[str, list[str]]:
    """Move the rows of all tables to temporary ones; the columns of each."""
    there = sa.inspect(op.get_bind())
    columns = {name: [column["name"] for column in there.get_columns(name)] for name in CARRIED}
    for name in CARRIED:
        op.execute(f"CREATE TEMPORARY TABLE kept_{name} AS SELECT * FROM {name}")
    for name in reversed(CARRIED):
        op.drop_table(name)
    return columns


def _bring_back(columns: dict[str, list[str]]) -> None:
    for name in CARRIED:
        named = ", ".join(columns[name])
        op.execute(f"INSERT INTO {name} ({named}) SELECT {named} FROM kept_{name}")
        op.execute(f"DROP TABLE kept_{name}")
        if _postgresql() and name in NUMBERED:
            op.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'),"
                f" (SELECT coalesce(max(id), 0) + 1 FROM {name}), false)"
            )


def _make_partitions() -> None:
    """A partition for every month there are scores of, and one for what has none."""
    if not _postgresql():
        return
    op.execute("CREATE TABLE scores_other PARTITION OF scores DEFAULT")
    months = op.get_bind().execute(
        sa.text(
            "SELECT DISTINCT date_trunc('month', event_time AT TIME ZONE 'UTC') FROM kept_scores"
            " WHERE event_time BETWEEN now() - interval '5 years' AND now() + interval '1 year'"
        )
    )
    for (month,) in months:
        begin, end = (f"{m:%Y-%m}-01 00:00+00" for m in (month, _next_month(month)))
        op.execute(
            f"CREATE TABLE scores_{month:%Y_%m} PARTITION OF scores"
            f" FOR VALUES FROM ('{begin}') TO ('{end}')"
        )


def _next_month(month: Any) -> Any:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
