"""Retention: what is too old goes, in small batches; nothing younger is touched."""

import operator
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from aemon.config.service_settings import RetentionSettings
from aemon.records import DetectorState
from aemon.store import retention, retired_detectors
from aemon.store.artifacts import artifact
from aemon.store.bulk import as_columns, write_rows
from aemon.store.detectors import active_detector, save_detector
from aemon.store.drifts import Drift, DriftKind, begin_drifts, end_drifts, open_drifts
from aemon.store.moved_thresholds import save_thresholds
from aemon.store.retention import count_old, drop_empty_partitions, due_monitors, prune, removals
from aemon.store.schema.tables import (
    anomalies,
    artifacts,
    contributions,
    detectors,
    episodes,
    runs,
    scores,
    trial_verdicts,
    trials,
)
from aemon.store.succession import Step, note_step, version_before
from tests.store.test_store import THRESHOLD, new_detector

DAY = timedelta(days=1)
SETTINGS = RetentionSettings(
    scores=90 * DAY, anomalies=393 * DAY, runs=60 * DAY, artifacts=30 * DAY
)
NOTHING = {
    "scores": 0,
    "anomalies": 0,
    "episodes": 0,
    "trials": 0,
    "drifts": 0,
    "runs": 0,
    "artifacts": 0,
}

ON_POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
def now(clock):
    return clock()


@pytest.fixture
def add(store, now):
    """Adds scores, given as (key, age of the event, age of the verdict) in days."""

    def add(*rows, verdict="normal", monitor="pumps", **more):
        made = [
            {
                "monitor": monitor,
                "record_key": str(key),
                "entity": "",
                "revision": 1,
                "event_time": now - event_age * DAY,
                "scored_at": now - verdict_age * DAY,
                "superseded_at": None,
                "score": 1.0,
                "verdict": verdict,
                "detector_id": 1,
                "threshold_id": 1,
                "late": False,
                "imputed_share": 0.0,
                **more,
            }
            for key, event_age, verdict_age in rows
        ]
        with store.writing() as connection:
            write_rows(connection, scores, as_columns(made))
            if verdict not in ("anomaly", "suppressed"):
                return
            same = ("monitor", "record_key", "entity", "revision")
            for row in made:
                identity = {name: row[name] for name in same}
                what = {"severity": "warning", "reason": "", "observed": {}, "reconstructed": {}}
                anomaly = {**identity, "event_time": row["event_time"], **what}
                connection.execute(sa.insert(anomalies).values(anomaly))
                part = {**identity, "feature": "flow", "error": 1.0, "share": 0.5}
                connection.execute(
                    sa.insert(contributions), [{**part, "rank": rank} for rank in (1, 2)]
                )

    return add


@pytest.fixture
def add_run(store, now):
    def add_run(age, monitor="pumps", job="score"):
        row = {column.name: 0 for column in runs.c if not column.nullable}
        row |= {"monitor": monitor, "job": job, "outcome": "ok", "reason": f"{age} days old"}
        row |= {"started_at": now - age * DAY, "finished_at": now}
        del row["id"]
        with store.writing() as connection:
            connection.execute(sa.insert(runs).values(row))

    return add_run


def column(store, what) -> list:
    with store.reading() as connection:
        return sorted(connection.execute(sa.select(what)).scalars())


def at_once(store, monitor, settings, now, *, dry_run=False):
    if dry_run:
        return count_old(store, monitor, settings, now)
    return prune(store, monitor, settings, now, rest=lambda _: None)


def test_scores_go_by_the_age_of_their_verdict(store, add, now):
    add(("old", 100, 100), ("young", 89, 89), ("backfilled", 1000, 10), ("late", 300, 91))
    assert at_once(store, "pumps", SETTINGS, now, dry_run=True) == NOTHING | {"scores": 2}
    assert len(column(store, scores.c.record_key)) == 4
    assert at_once(store, "pumps", SETTINGS, now) == NOTHING | {"scores": 2}
    assert column(store, scores.c.record_key) == ["backfilled", "young"]


def test_an_event_ahead_of_its_verdict_stays_until_its_own_time_is_old(store, add, now):
    add(("ahead", 10, 100))
    assert at_once(store, "pumps", SETTINGS, now) == NOTHING
    assert at_once(store, "pumps", SETTINGS, now + 81 * DAY) == NOTHING | {"scores": 1}


def test_a_flagged_record_goes_by_its_own_age_with_all_that_belongs_to_it(store, add, now):
    add((1, 500, 500), (2, 392, 392), verdict="anomaly")
    add((3, 392, 392), verdict="absent")
    told = NOTHING | {"scores": 1, "anomalies": 1}
    assert at_once(store, "pumps", SETTINGS, now, dry_run=True) == told
    assert at_once(store, "pumps", SETTINGS, now) == told
    for table in (scores, anomalies):
        assert column(store, table.c.record_key) == ["2"]
    assert column(store, contributions.c.record_key) == ["2", "2"], "no orphan, and none too many"


def test_a_suppressed_record_stays_as_long_as_a_flagged_one_for_it_teaches_nothing(store, add, now):
    add(("old", 400, 400), ("young", 390, 390), verdict="suppressed")
    assert at_once(store, "pumps", SETTINGS, now) == NOTHING | {"anomalies": 1}
    for table in (scores, anomalies, contributions):
        assert set(column(store, table.c.record_key)) == {"young"}


def test_superseded_revisions_go_by_their_own_age(store, add, now):
    add((1, 100, 100), (2, 100, 100), superseded_at=now - 95 * DAY)
    add((1, 100, 95), (2, 100, 5), revision=2)
    assert at_once(store, "pumps", SETTINGS, now)["scores"] == 3
    with store.reading() as connection:
        left = connection.execute(sa.select(scores.c.record_key, scores.c.revision)).all()
    assert left == [("2", 2)]


@pytest.mark.parametrize("same_time", [True, False])
def test_more_rows_than_a_batch_go_batch_by_batch(store, add, now, same_time):
    # Given old rows, among them some that stay, at many times or all at one
    old = [(f"k{n:02}", 200 if same_time else 200 - n, 100) for n in range(23)]
    add(*old)
    add(*((f"kept{n:02}", 200 if same_time else 200 - n, 5) for n in range(23)))
    # When they are removed, five at a time
    removed = list(removals(store, "pumps", SETTINGS, now, rest=lambda _: None, batch=5))
    # Then no transaction had more, and exactly they are gone
    assert {what for what, _ in removed} == {"scores"}
    assert 1 <= min(rows for _, rows in removed) <= max(rows for _, rows in removed) <= 5
    assert sum(rows for _, rows in removed) == 23
    assert column(store, scores.c.record_key) == [f"kept{n:02}" for n in range(23)]


def test_batches_are_full_where_nothing_stays(store, add, now):
    add(*((f"k{n:02}", 200 - n, 100) for n in range(23)))
    removed = [
        rows for _, rows in removals(store, "pumps", SETTINGS, now, rest=lambda _: None, batch=5)
    ]
    assert removed == [5, 5, 5, 5, 3]


def test_flagged_records_go_in_smaller_batches_for_their_parts_go_along(store, add, now):
    add(*((n, 500, 500) for n in range(5)), verdict="anomaly")
    assert (
        list(removals(store, "pumps", SETTINGS, now, rest=lambda _: None, batch=20))[:2]
        == [("anomalies", 2)] * 2
    )
    assert column(store, contributions.c.record_key) == []


def test_an_episode_goes_after_its_last_flagged_record(store, add, now):
    add((1, 500, 500), (2, 450, 392), (3, 500, 500), verdict="anomaly")
    episode = {
        "monitor": "pumps", "entity": "", "started_at": now, "ended_at": now, "records": 1,
        "severity": "warning", "peak_exceedance": 1.0, "peak_record_key": "1", "feature": "flow",
        "blame": {}, "calm_records": 0,
    }  # fmt: skip
    with store.writing() as connection:
        for number, (state, age) in enumerate(
            [("closed", 500), ("closed", 400), ("open", 500), ("closed", 392)], start=1
        ):
            row = {**episode, "id": number, "state": state, "updated_at": now - age * DAY}
            connection.execute(sa.insert(episodes).values(row))
            of = anomalies.c.record_key == str(number)
            connection.execute(sa.update(anomalies).where(of).values(episode_id=number))
    removed = NOTHING | {"anomalies": 2, "episodes": 1}
    assert at_once(store, "pumps", SETTINGS, now, dry_run=True) == removed
    assert at_once(store, "pumps", SETTINGS, now) == removed
    assert column(store, episodes.c.id) == [2, 3, 4], "one has a record, one is open, one is young"
    assert at_once(store, "pumps", SETTINGS, now + 2 * DAY)["episodes"] == 2
    assert column(store, episodes.c.id) == [3]


def test_a_batch_is_a_transaction(store, add, now):
    add(*((n, 200, 100) for n in range(10)))
    batches = removals(store, "pumps", SETTINGS, now, rest=lambda _: None, batch=4)
    next(batches)
    assert len(column(store, scores.c.record_key)) == 6, "committed, whatever becomes of the rest"
    add((99, 0, 0))  # a writer does not wait
    batches.close()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_no_search_goes_through_more_of_an_index_than_it_must(store, now):
    first, last = (now - 200 * DAY, "1", "", 1), (now - 199 * DAY, "2", "", 1)
    (due, *_) = retention._all_due(SETTINGS, now)
    searches = [
        sa.select(*due.key).where(due.of("pumps")).order_by(*due.key),
        sa.select(*due.key).where(due.old("pumps"), *due.beyond(operator.gt, first)),
        sa.delete(scores).where(due.between("pumps", first, last)),
    ]
    with store.reading() as connection:
        for search in searches:
            text = search.compile(store.engine)
            values = [text.params[name] for name in text.positiontup]
            times = [v.isoformat(" ") if isinstance(v, datetime) else v for v in values]
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(times)).all()
            told = " ".join(step[-1] for step in plan)
            assert "ix_scores_monitor_event_time (monitor=? AND event_time" in told
            assert "TEMP B-TREE" not in told
    # SQLite goes to the first upper end it is told, and filters by the others.
    assert str(searches[-1]).count("scores.event_time <") == 1


def test_runs_go_by_their_start_and_the_newest_stays(store, add_run, now):
    store.add_monitors(["fans"])
    for monitor in ("pumps", "fans"):
        for age in (100, 61, 59):
            add_run(age, monitor)
        add_run(70, monitor, "train")
    assert at_once(store, "pumps", SETTINGS, now, dry_run=True) == NOTHING | {"runs": 3}
    assert at_once(store, "pumps", SETTINGS, now) == NOTHING | {"runs": 3}
    # The very newest of the table stays, or SQLite would give its number to another run.
    assert at_once(store, None, SETTINGS, now + 365 * DAY)["runs"] == 4
    assert column(store, runs.c.reason) == ["70 days old"]


def test_all_means_monitors_that_are_configured_no_more_too(store, add, add_run, now):
    store.add_monitors(["gone"])
    add((1, 100, 100))
    add((1, 100, 100), (2, 1, 1), monitor="gone")
    add_run(100, "gone")
    add_run(1)
    assert due_monitors(store, SETTINGS, now) == ["gone", "pumps"]
    assert at_once(store, None, SETTINGS, now) == NOTHING | {"scores": 2, "runs": 1}
    assert due_monitors(store, SETTINGS, now) == []


def retrained(store, clock, *contents):
    """Detectors, a day apart, the last one active."""
    for content in contents:
        save_detector(store, "pumps", new_detector(content))
        clock.forward(DAY)


def test_artifacts_of_retired_detectors_go_the_active_ones_stays(store, clock):
    retrained(store, clock, b"1", b"2", b"3")
    now = clock() + 28.5 * DAY  # the first one judged last more than 30 days ago
    assert due_monitors(store, SETTINGS, now) == ["pumps"]
    assert at_once(store, "pumps", SETTINGS, now, dry_run=True) == NOTHING | {"artifacts": 1}
    assert at_once(store, "pumps", SETTINGS, now) == NOTHING | {"artifacts": 1}
    # However old, the one that judges is not removed, nor is one that may judge tomorrow.
    with store.writing() as connection:
        second = sa.update(detectors).where(detectors.c.version == 2)
        connection.execute(second.values(state=DetectorState.SHADOW))
    assert at_once(store, None, SETTINGS, now + 4000 * DAY) == NOTHING
    assert artifact(store, active_detector(store, "pumps").artifact_sha256) == b"3"
    assert len(column(store, artifacts.c.sha256)) == 2
    with store.reading() as connection:
        query = sa.select(detectors.c.version).where(detectors.c.artifact_sha256.is_(None))
        assert connection.execute(query).scalars().all() == [1], "what is said of it stays"


def test_a_shared_artifact_stays_as_long_as_somebody_needs_it(store, clock):
    retrained(store, clock, b"same", b"other", b"same", b"last")
    for days, unused in ((27.5, 0), (28.5, 1), (29.5, 1)):
        now = clock() + days * DAY
        counted = at_once(store, None, SETTINGS, now, dry_run=True)
        before = len(column(store, artifacts.c.sha256))
        assert at_once(store, None, SETTINGS, now) == counted
        assert len(column(store, artifacts.c.sha256)) == before - counted["artifacts"]
        assert counted["artifacts"] == unused
    assert artifact(store, active_detector(store, "pumps").artifact_sha256) == b"last"


def test_the_weights_of_what_judged_until_just_now_stay_however_old_they_are(store, clock):
    """A person may want to go back to them."""
    retrained(store, clock, b"1")
    clock.forward(1000 * DAY)
    retrained(store, clock, b"2")
    assert at_once(store, None, SETTINGS, clock()) == NOTHING
    assert version_before(store, "pumps")[1] == 1


def test_moved_lines_go_with_the_weights_and_stay_as_long_as_those(store, clock):
    retrained(store, clock, b"1")
    save_thresholds(store, active_detector(store, "pumps"), b"lines", THRESHOLD, "moved")
    assert at_once(store, None, SETTINGS, clock() + 4000 * DAY) == NOTHING
    retrained(store, clock, b"2")
    # Given another one whose lines are the very same
    save_thresholds(store, active_detector(store, "pumps"), b"lines", THRESHOLD, "moved")
    later = clock() + 40 * DAY
    for count, contents in ((1, [b"2", b"lines"]), (2, [b"3"])):
        counted = at_once(store, None, SETTINGS, later, dry_run=True)
        assert counted == at_once(store, None, SETTINGS, later) == NOTHING | {"artifacts": count}
        assert column(store, artifacts.c.content) == contents
        retrained(store, clock, b"3")
        later += 400 * DAY


def test_trials_go_by_the_age_of_flagged_records_once_they_are_decided(store, clock):
    # Given a trial that was decided, and one that goes on
    retrained(store, clock, b"1")
    ids = [
        save_detector(store, "pumps", replace(new_detector(content), on_trial=True)).id
        for content in (b"2", b"3")
    ]
    counts = dict.fromkeys(
        ("records", "flagged", "flagged_by_active", "flagged_by_both", "critical_by_active"), 1
    )
    row = {"record_key": "1", "entity": "", "event_time": clock(), "exceedance": 2.0}
    step = Step(**counts, critical_kept=1, verdicts=[{**row, "active_exceedance": 2.0}])
    with store.writing() as connection:
        for detector_id in ids:
            note_step(connection, detector_id, step, clock())
    settings = SETTINGS.model_copy(update={"artifacts": None})
    assert at_once(store, None, settings, clock() + 390 * DAY) == NOTHING
    late = clock() + 400 * DAY
    assert due_monitors(store, settings, late) == ["pumps"]
    assert at_once(store, None, settings, late, dry_run=True) == NOTHING | {"trials": 1}
    assert at_once(store, None, settings, late) == NOTHING | {"trials": 1}
    for table in (trials, trial_verdicts):
        assert column(store, table.c.detector_id) == ids[1:]


def test_drifts_go_by_the_age_of_flagged_records_once_they_are_over(store, clock):
    about = {"started_at": clock(), "measure": 1.0, "reason": "moved"}
    both = [Drift(kind=DriftKind.COLUMN, feature=name, **about) for name in ("flow", "current")]
    begin_drifts(store, "pumps", 1, both)
    clock.forward(100 * DAY)
    end_drifts(store, "pumps", both[:1], "it came back")
    assert at_once(store, None, SETTINGS, clock() + 390 * DAY) == NOTHING
    late = clock() + 400 * DAY
    assert at_once(store, None, SETTINGS, late, dry_run=True) == NOTHING | {"drifts": 1}
    assert at_once(store, None, SETTINGS, late) == NOTHING | {"drifts": 1}
    assert [drift.feature for drift in open_drifts(store, "pumps")] == ["current"]


def test_many_artifacts_go_a_few_at_a_time(store, clock, monkeypatch):
    monkeypatch.setattr(retired_detectors, "ARTIFACTS_AT_ONCE", 2)
    retrained(store, clock, *(bytes([n]) for n in range(6)))
    removed = list(removals(store, "pumps", SETTINGS, clock() + 365 * DAY))
    assert removed == [("artifacts", 2), ("artifacts", 2), ("artifacts", 1)]


@pytest.mark.parametrize("age", [None, timedelta(weeks=110_000), timedelta.max])
def test_forever_is_forever(store, add, add_run, clock, age):
    settings = RetentionSettings.model_construct(  # which a file may not say so long
        scores=age, anomalies=age, runs=age, artifacts=age
    )
    retrained(store, clock, b"1", b"2")
    add((1, 3000, 3000))
    add((2, 3000, 3000), verdict="anomaly")
    add_run(3000)
    add_run(1)
    assert due_monitors(store, settings, clock()) == []
    assert at_once(store, None, settings, clock()) == NOTHING
    assert drop_empty_partitions(store, settings, clock()) == []


def test_it_rests_between_transactions_longer_than_it_works(store, add, now):
    add(*((n, 200, 100) for n in range(10)))
    rests = []
    began = time.monotonic()
    prune(store, "pumps", SETTINGS, now, batch=4, rest=rests.append)
    assert len(rests) == 3
    assert 0 < sum(rests) < (time.monotonic() - began) * retention.RESTS


def partitions(store) -> list[str]:
    query = sa.text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'scores'::regclass ORDER BY relname"
    )
    with store.reading() as connection:
        return list(connection.execute(query).scalars())


@pytest.fixture
def monthly(store, add, now):
    """A store with months that are empty or not, old or not."""
    months = {"2024_06": 635, "2024_12": 455, "2025_01": 420, "2025_02": 390, "2026_02": 20}
    for name, age in months.items():
        with store.writing() as connection:
            begin, end = (
                sa.text(f"SELECT date '{name.replace('_', '-')}-01' + interval '{n} month'")
                for n in (0, 1)
            )
            connection.exec_driver_sql(
                f"CREATE TABLE scores_{name} PARTITION OF scores FOR VALUES FROM"
                f" ('{connection.execute(begin).scalar():%F}+00')"
                f" TO ('{connection.execute(end).scalar():%F}+00')"
            )
        add((name, age, age), verdict="anomaly")
    return store


@ON_POSTGRESQL
@pytest.mark.postgresql
def test_months_that_are_over_and_empty_are_dropped(monthly, add, now):
    add(("new verdict of an old record", 450, 1))
    assert drop_empty_partitions(monthly, SETTINGS, now) == [], "none is empty"
    assert at_once(monthly, None, SETTINGS, now)["anomalies"] == 3
    # 2024-12 has a young verdict, 2025-02 a flagged record that may stay.
    assert drop_empty_partitions(monthly, SETTINGS, now) == ["scores_2024_06", "scores_2025_01"]
    left = ["scores_2024_12", "scores_2025_02", "scores_2026_02", "scores_other"]
    assert partitions(monthly) == left
    assert drop_empty_partitions(monthly, SETTINGS, now) == []
    # A record of such a month finds a place again, and still takes its parts along.
    add(("again", 420, 420), verdict="anomaly")
    at_once(monthly, None, SETTINGS, now)
    assert column(monthly, anomalies.c.record_key) == ["2025_02", "2026_02"]


@ON_POSTGRESQL
@pytest.mark.postgresql
def test_a_month_in_use_is_left_to_the_next_time(monthly, now):
    at_once(monthly, None, SETTINGS, now)
    with monthly.reading() as busy:
        busy.execute(sa.text("SELECT * FROM scores_2024_06"))
        assert drop_empty_partitions(monthly, SETTINGS, now) == ["scores_2024_12", "scores_2025_01"]
    assert drop_empty_partitions(monthly, SETTINGS, now) == ["scores_2024_06"]


@ON_POSTGRESQL
@pytest.mark.postgresql
def test_a_young_empty_month_stays(monthly, now):
    with monthly.writing() as connection:
        connection.execute(sa.delete(scores))
    dropped = drop_empty_partitions(monthly, SETTINGS, now)
    assert dropped == ["scores_2024_06", "scores_2024_12", "scores_2025_01"]
