"""A view over many scores answers a person's question at once, by its indexes.

The short form runs with every test; ten million scores are behind `make soak`.
"""

import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.partitions import Partitions

MONITORS = 10
DAYS = 30
FLAGGED_EVERY = 100
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
YESTERDAYS = """
    SELECT * FROM flagged_records
    WHERE monitor = 'm3' AND event_time >= '2026-10-29' AND event_time < '2026-10-30'
"""
MOST_SECONDS = 0.050

NUMBERS = {
    "postgresql": "SELECT n FROM generate_series(0, {last}) AS numbers (n)",
    "sqlite": "WITH RECURSIVE numbers (n) AS"
    " (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) SELECT n FROM numbers",
}
TIMES = {
    "postgresql": "timestamptz '2026-10-01 00:00+00' + n * {step} * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 1790812800 + n * {step}, 'unixepoch')",
}
FALSE = {"postgresql": "false", "sqlite": "0"}


def fill(engine: sa.Engine, count: int) -> None:
    """`count` scores of ten monitors over thirty days, one in a hundred flagged, ten columns each."""
    dialect = engine.dialect.name
    numbers = NUMBERS[dialect].format(last=count - 1)
    at = TIMES[dialect].format(step=DAYS * 86400 / count)
    now = "'2026-10-30 12:00:00.000000'"
    monitor, key = f"'m' || (n % {MONITORS})", "CAST(n AS TEXT)"
    # Not every tenth record of every monitor: n has to change its monitor among the flagged.
    flagged = f"(n / {MONITORS}) % {FLAGGED_EVERY} = 0"
    with engine.begin() as connection:

        def run(text: str) -> None:
            connection.execute(sa.text(text))

        months = [FIRST + timedelta(days=day) for day in (0, DAYS + 1)]
        import numpy as np

        naive = np.array([month.replace(tzinfo=None) for month in months], "datetime64[us]")
        Partitions().make(connection, naive, FIRST)
        for number in range(MONITORS):
            run(f"INSERT INTO monitors VALUES ('m{number}', {now})")
            run(
                "INSERT INTO detectors (id, monitor, version, state, trained_at, trained_from,"
                " trained_until, training_records, validation_records, calibration_records, seed,"
                " validation_error, settings_hash, feature_map_hash, data_hash, versions) VALUES"
                f" ({number + 1}, 'm{number}', 1, 'active', {now}, {now}, {now}, 1, 1, 1, 0, 0.1,"
                " '', '', '', '{}')"
            )
            run(
                f"INSERT INTO thresholds (id, detector_id, value, method, false_alarm_rate,"
                f" calibration_records, created_at) VALUES ({number + 1}, {number + 1}, 9, 'conformal', 0.01,"
                f" 1000, {now})"
            )
        run(
            "INSERT INTO scores (monitor, record_key, entity, revision, event_time, scored_at,"
            " score, p_value, exceedance, verdict, detector_id, threshold_id, late, imputed_share)"
            f" SELECT {monitor}, {key}, '', 1, {at}, {now}, 1.5, 0.3, 0.2,"
            f" CASE WHEN {flagged} THEN 'anomaly' ELSE 'normal' END, n % {MONITORS} + 1,"
            f" n % {MONITORS} + 1, {FALSE[dialect]}, 0 FROM ({numbers}) AS source"
        )
        run(
            "INSERT INTO anomalies (monitor, record_key, entity, revision, event_time, severity,"
            " reason, observed, reconstructed) SELECT monitor, record_key, entity, revision, event_time,"
            " 'warning', 'flow 1 where 5 was expected', '{\"flow\": 1}', '{\"flow\": 5}'"
            " FROM scores WHERE verdict = 'anomaly'"
        )
        run(
            "INSERT INTO contributions SELECT monitor, record_key, entity, revision, n + 1, 'c' || n,"
            " 1, 5, '1', '5', 4, 0.1 FROM anomalies,"
            f" ({NUMBERS[dialect].format(last=9)}) AS columns"
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def seconds_and_rows(engine: sa.Engine) -> tuple[float, int]:
    """The median time of a question asked nine times, and how many rows answer it."""
    times = []
    with engine.connect() as connection:
        for _ in range(9):
            began = time.perf_counter()
            rows = connection.exec_driver_sql(YESTERDAYS).fetchall()
            times.append(time.perf_counter() - began)
    return statistics.median(times), len(rows)


def plan(engine: sa.Engine) -> str:
    how = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN"}[engine.dialect.name]
    with engine.connect() as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{how} {YESTERDAYS}"))


def assert_indexed(engine: sa.Engine) -> None:
    steps = plan(engine)
    assert "ix_anomalies_monitor_event_time" in steps
    if engine.dialect.name == "sqlite":
        large = ("SCAN a", "SCAN s", "SCAN c1", "SCAN c2", "SCAN c3")
    else:
        large = (
            "Seq Scan on scores_2026_10", "Seq Scan on anomalies", "Seq Scan on contributions",
        )  # fmt: skip
    assert not [step for step in large if step in steps], steps


def check(store_url: str, count: int) -> None:
    engine = open_engine(store_url)
    revisions.prepare(engine)
    began = time.monotonic()
    fill(engine, count)
    filled = time.monotonic() - began
    assert_indexed(engine)
    seconds, rows = seconds_and_rows(engine)
    expected = count / MONITORS / DAYS / FLAGGED_EVERY
    assert rows == pytest.approx(expected, abs=2)
    print(
        f"{engine.dialect.name}: {count:,} scores made in {filled:.0f} s; {rows} flagged records"
        f" of one monitor and day in {seconds * 1000:.1f} ms"
    )
    engine.dispose()
    assert seconds < MOST_SECONDS


@pytest.mark.timeout(600)
def test_yesterdays_flagged_records_come_at_once(store_url):
    check(store_url, 300_000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_yesterdays_flagged_records_come_at_once_among_ten_million(store_url):
    check(store_url, 10_000_000)
