"""What the store promises, on SQLite and on PostgreSQL alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.errors import RefusedError
from aemon.records import Job, Outcome, Watermark
from aemon.run_report import RunCounts, RunReport
from aemon.store import queries
from aemon.store.artifacts import artifact
from aemon.store.bulk import as_columns
from aemon.store.detectors import NewDetector, active_detector, save_detector
from aemon.store.drifts import Drift, DriftKind, begin_drifts, end_drifts
from aemon.store.inbox.kept_records import history_count, history_records, keep_history
from aemon.store.ledger import save_run
from aemon.store.lists import judged_records
from aemon.store.schema.tables import anomalies, contributions, detectors, runs, scores, watermarks
from aemon.store.store import Mark, StaleWatermarkError
from aemon.store.succession import promote
from aemon.store.verdicts import VerdictRows
from tests.saving import Committed, save_all

T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)
PROVENANCE = {
    "trained_from": T0,
    "trained_until": T0 + timedelta(hours=1),
    "training_records": 640,
    "validation_records": 160,
    "calibration_records": 200,
    "seed": 0,
    "validation_error": 0.12,
    "settings_hash": "s",
    "feature_map_hash": "f",
    "data_hash": "d",
    "versions": {"aemon": "0.1.0"},
}
THRESHOLD = {
    "value": 2.0,
    "method": "conformal",
    "false_alarm_rate": 0.01,
    "calibration_records": 200,
}


def new_detector(content: bytes = b"weights", watermark: Watermark | None = None) -> NewDetector:
    return NewDetector(
        artifact=content, columns=PROVENANCE, threshold=THRESHOLD, watermark=watermark
    )


def score_row(
    key: str, stored, *, verdict: str = "normal", entity: str = "p1", record_hash: int = 7
) -> dict:
    return {
        "entity": entity,
        "record_key": key,
        "event_time": T0 + timedelta(seconds=int(key)),
        "scored_at": T0 + timedelta(minutes=5),
        "score": 1.0,
        "p_value": 0.5,
        "exceedance": 0.5,
        "verdict": verdict,
        "detector_id": stored.id,
        "threshold_id": stored.threshold_id,
        "late": False,
        "imputed_share": 0.0,
        "record_hash": record_hash,
    }


def anomaly_rows(key: str, entity: str = "p1") -> tuple[dict, dict]:
    identity = {"entity": entity, "record_key": key}
    anomaly = {
        **identity,
        "event_time": T0 + timedelta(seconds=int(key)),
        "severity": "warning",
        "reason": "flow 1 where 5 was expected",
        "observed": {"flow": 1.0, "valve": "open"},
        "reconstructed": {"flow": 5.0, "valve": "open"},
    }
    contribution = {
        **identity,
        "rank": 1,
        "feature": "flow",
        "observed": 1.0,
        "reconstructed": 5.0,
        "observed_text": "1",
        "reconstructed_text": "5",
        "error": 4.0,
        "share": 1.0,
    }
    return anomaly, contribution


def save(store, rows, mark, to, **options) -> Committed:
    """Save verdicts given as rows."""
    empty = {name: [] for name in score_row("1", SimpleNamespace(id=1, threshold_id=1))}
    columns = dict(as_columns(rows.scores) or empty)
    naive = [time.replace(tzinfo=None) for time in columns["event_time"]]
    rows = replace(rows, scores=columns | {"event_time": np.array(naive, "datetime64[us]")})
    return save_all(store, "pumps", rows, mark, to, **options)


def at(key: int) -> Watermark:
    return Watermark(
        event_time=T0 + timedelta(seconds=key), record_key=str(key), position=f'{{"n": {key}}}'
    )


@pytest.fixture
def stored(store):
    save_detector(store, "pumps", new_detector())
    return active_detector(store, "pumps")


def count(store, table) -> int:
    with store.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_verdicts_and_watermark_are_there_together(store, stored):
    rows = VerdictRows(scores=[score_row(str(key), stored) for key in range(3)])
    saved = save(store, rows, store.mark("pumps"), at(2))
    assert (saved.fresh.tolist(), saved.revised.any()) == ([True] * 3, False)
    assert saved.mark == store.mark("pumps") == Mark(watermark=at(2), generation=1)
    assert count(store, scores) == 3


def test_a_failing_write_leaves_neither_verdict_nor_watermark(store, stored):
    broken = {**score_row("1", stored), "verdict": None}
    with pytest.raises(RefusedError, match=r"(?i)not.null"):
        save(store, VerdictRows(scores=[broken]), store.mark("pumps"), at(1))
    assert count(store, scores) == 0
    assert store.mark("pumps") == Mark()


def test_a_record_met_again_keeps_its_first_verdict_and_leaves_no_orphan(store, stored):
    first = VerdictRows(scores=[score_row("1", stored)])
    mark = save(store, first, store.mark("pumps"), at(1)).mark
    anomaly, contribution = anomaly_rows("1")
    other, other_contribution = anomaly_rows("2")
    again = VerdictRows(
        scores=[score_row(key, stored, verdict="anomaly") for key in ("1", "2")],
        anomalies=[anomaly, other],
        contributions=[contribution, other_contribution],
    )
    saved = save(store, again, mark, at(2))
    assert (saved.fresh.tolist(), saved.revised.tolist()) == ([False, True], [False, False])
    with store.reading() as connection:
        verdicts = dict(
            tuple(row)
            for row in connection.execute(sa.select(scores.c.record_key, scores.c.verdict))
        )
        flagged = connection.execute(sa.select(anomalies.c.record_key)).scalars().all()
        blamed = connection.execute(sa.select(contributions.c.record_key)).scalars().all()
    assert verdicts == {"1": "normal", "2": "anomaly"}
    assert flagged == blamed == ["2"]


def test_the_same_key_of_two_entities_is_two_records(store, stored):
    rows = VerdictRows(
        scores=[score_row("1", stored, entity="p1"), score_row("1", stored, entity="p2")]
    )
    saved = save(store, rows, store.mark("pumps"), at(1))
    assert (saved.fresh.all(), count(store, scores)) == (True, 2)


def test_a_writer_that_comes_second_is_refused_and_writes_nothing(store, stored):
    """Two daemons read the same records; only one of them may commit."""
    seen_by_both = store.mark("pumps")
    save(store, VerdictRows(scores=[score_row("1", stored)]), seen_by_both, at(1))
    with pytest.raises(StaleWatermarkError):
        save(store, VerdictRows(scores=[score_row("2", stored)]), seen_by_both, at(2))
    assert count(store, scores) == 1
    stale = replace(store.mark("pumps"), generation=7)
    with pytest.raises(StaleWatermarkError):
        save(store, VerdictRows(scores=[]), stale, at(3))


def test_a_new_detector_retires_the_one_before(store):
    first = save_detector(store, "pumps", new_detector(b"one"))
    second = save_detector(store, "pumps", new_detector(b"two"))
    active = active_detector(store, "pumps")
    assert (first.version, second.version, active.version) == (1, 2, 2)
    assert (active.id, active.threshold_id) == (second.id, second.threshold_id)
    assert artifact(store, active.artifact_sha256) == b"two"
    assert active.threshold == 2.0
    with store.reading() as connection:
        states = connection.execute(
            sa.select(detectors.c.state).order_by(detectors.c.version)
        ).scalars()
        assert list(states) == ["retired", "active"]


def test_the_first_detector_sets_the_watermark_and_later_ones_leave_it(store):
    save_detector(store, "pumps", new_detector(watermark=at(10)))
    save_detector(store, "pumps", new_detector(watermark=at(99)))
    assert store.mark("pumps") == Mark(watermark=at(10), generation=1, settled=at(10))


def test_every_run_is_in_the_ledger_with_its_reason(store, clock):
    report = RunReport(
        monitor="pumps",
        job=Job.SCORE,
        outcome=Outcome.COLLECTING,
        reason="collecting 312 of 1000 records",
        started_at=clock(),
        finished_at=clock() + timedelta(seconds=2),
        counts=RunCounts(records_read=312, rejected={"no_time": 3}),
    )
    save_run(store, report)
    with store.reading() as connection:
        row = connection.execute(sa.select(runs)).one()
    assert (row.outcome, row.reason) == ("collecting", "collecting 312 of 1000 records")
    assert (row.records_read, row.records_rejected) == (312, 3)
    assert row.finished_at - row.started_at == timedelta(seconds=2)
    overview = queries.overview(store, ["pumps", "unknown"], clock())
    assert [entry.name for entry in overview] == ["pumps"]
    assert overview[0].last_score.reason == "collecting 312 of 1000 records"


def test_what_a_detector_flagged_is_counted_since_it_was_trained(store, clock):
    # Given a run before the active detector was trained, and two after it, with absent records
    def ran(at, scored, flagged, absent, job=Job.SCORE):
        save_run(
            store,
            RunReport(
                monitor="pumps",
                job=job,
                outcome=Outcome.OK,
                started_at=at,
                finished_at=at,
                counts=RunCounts(
                    records_scored=scored,
                    records_absent=absent,
                    exceedances=(1.5,) * flagged,
                ),
            ),
        )

    def flag(*keys):
        later = {"scored_at": detector.trained_at + timedelta(seconds=1)}
        return VerdictRows(
            scores=[score_row(key, detector, verdict="anomaly") | later for key in keys],
            anomalies=[anomaly_rows(key)[0] for key in keys],
        )

    assert queries.overview(store, ["pumps"], clock())[0].realised == queries.Flagged()
    save_detector(store, "pumps", new_detector())
    detector = active_detector(store, "pumps")
    assert queries.realised(store, detector).share is None
    ran(detector.trained_at - timedelta(seconds=1), 1000, 500, 0)
    ran(detector.trained_at, 95, 2, 20)
    ran(detector.trained_at + timedelta(seconds=1), 120, 3, 0)
    ran(detector.trained_at + timedelta(seconds=1), 7, 7, 0, Job.TRAIN)
    save(store, flag("1", "2", "3", "4", "5"), store.mark("pumps"), at(5))  # 5 records more
    # When it is asked what it flagged
    realised = queries.realised(store, detector)
    # Then it is 5 of the 200 that were there to be judged
    assert realised == queries.Flagged(judged=200, flagged=5)
    assert realised.share == 0.025
    (overview,) = queries.overview(store, ["pumps"], clock())
    assert (overview.false_alarm_rate, overview.realised) == (0.01, realised)
    assert overview.anomalies == 5
    # And what was found in hindsight, of the records learned from, is none of it
    with store.writing() as connection:
        found = sa.update(runs).where(runs.c.records_scored == 5).values(job=Job.HINDSIGHT)
        connection.execute(found)
    assert queries.realised(store, detector) == queries.Flagged(judged=195, flagged=0)


def test_what_was_judged_before_a_detector_was_promoted_is_not_its_own(store, clock):
    # Given a run of the active detector, while another one was on trial, which is then promoted
    first = save_detector(store, "pumps", new_detector())
    second = save_detector(store, "pumps", replace(new_detector(b"other"), on_trial=True))
    clock.now += timedelta(minutes=1)
    now = clock()
    report = RunReport(
        monitor="pumps", job=Job.SCORE, outcome=Outcome.OK, started_at=now, finished_at=now,
        counts=RunCounts(records_scored=100, exceedances=(1.5,) * 50),
    )  # fmt: skip
    save_run(store, report)
    assert queries.overview(store, ["pumps"], T0)[0].realised.judged == 100
    clock.now += timedelta(minutes=1)
    promote(store, "pumps", second.id, "promoted", instead_of=first.id)
    # Then nothing of that run counts for the new one
    assert queries.overview(store, ["pumps"], T0)[0].realised == queries.Flagged()


def test_the_overview_tells_of_a_trial_and_of_what_has_drifted(store):
    # Given an active detector, another on trial, and two drifts of which one is over
    first = save_detector(store, "pumps", new_detector())
    save_detector(store, "pumps", replace(new_detector(b"other"), on_trial=True))
    found = [
        Drift(kind=DriftKind.COLUMN, feature=column, started_at=T0, measure=1.0, reason=column)
        for column in ("flow", "pressure")
    ]
    begin_drifts(store, "pumps", first.id, found)
    end_drifts(store, "pumps", found[:1], "it came back by itself")
    # When it is asked where the monitor stands
    (overview,) = queries.overview(store, ["pumps"], T0)
    # Then it is all there
    assert (overview.detector_version, overview.on_trial) == (1, 2)
    assert overview.calibration_records == THRESHOLD["calibration_records"]
    assert overview.drifts == ("pressure",)
    assert overview.episodes_open == 0


def test_a_flagged_record_comes_back_with_its_reasons(store, stored):
    anomaly, contribution = anomaly_rows("1")
    rows = VerdictRows(
        scores=[score_row("1", stored, verdict="anomaly")],
        anomalies=[anomaly],
        contributions=[contribution],
    )
    save(store, rows, store.mark("pumps"), at(1))
    (record,) = queries.flagged_records(store, monitor="pumps")
    assert record.observed == {"flow": 1.0, "valve": "open"}
    assert record.event_time == T0 + timedelta(seconds=1)
    assert (record.detector_version, record.threshold) == (1, 2.0)
    (blamed,) = record.columns
    assert (blamed.column, blamed.observed, blamed.expected) == ("flow", "1", "5")
    assert queries.flagged_records(store, monitor="other") == []
    assert queries.flagged_records(store, since=T0 + timedelta(hours=1)) == []
    assert judged_records.flagged_exceedances(store, "pumps", T0) == {("p1", "1"): (0.5, 1)}
    with store.reading() as connection:
        view = connection.execute(sa.text("SELECT * FROM flagged_records")).mappings().one()
    assert (view["top_column"], view["observed"], view["expected"]) == ("flow", "1", "5")
    assert (view["monitor"], view["detector_version"]) == ("pumps", 1)


def test_history_keeps_the_newest_in_order_of_arrival(store):
    rows = [
        {"record_key": str(key), "event_time": T0 + timedelta(seconds=key), "record": {"v": key}}
        for key in range(8)
    ]
    keep_history(store, "pumps", rows[:5], keep=6)
    keep_history(store, "pumps", rows[4:], keep=6)  # one of them is there already
    kept = history_records(store, "pumps", limit=100)
    assert [row["record"]["v"] for row in kept] == [2, 3, 4, 5, 6, 7]
    assert history_count(store, "pumps") == 6
    newest = history_records(store, "pumps", limit=2, newest=True)
    assert [row["record_key"] for row in newest] == ["6", "7"]


def test_times_are_utc_whatever_zone_they_came_in(store):
    from zoneinfo import ZoneInfo

    berlin = datetime(2026, 7, 1, 10, tzinfo=ZoneInfo("Europe/Berlin"))
    save_detector(
        store, "pumps", new_detector(watermark=Watermark(event_time=berlin, record_key="1"))
    )
    assert store.mark("pumps").watermark.event_time == datetime(2026, 7, 1, 8, tzinfo=UTC)
    if store.engine.dialect.name == "sqlite":
        with store.reading() as connection:
            text = connection.exec_driver_sql("SELECT event_time FROM watermarks").scalar()
        assert text == "2026-07-01 08:00:00.000000"
    assert count(store, watermarks) == 1
