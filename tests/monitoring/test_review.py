"""Late and corrected records: found within their lateness, counted beyond it, judged once."""

import sqlite3
from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.column_settings import ColumnSettings
from aemon.config.service_settings import RetentionSettings
from aemon.lifecycle.training_run import train_once
from aemon.monitoring import review
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.sources.csv.settings import CsvSource
from aemon.store.retention import prune
from aemon.store.schema.tables import runs, scores
from tests import readings
from tests.processes import insert, make_table
from tests.readings import LEARNED

LATENESS = timedelta(seconds=60)


@pytest.fixture
def add(database):
    """Adds readings under keys that do not grow: late ones cannot be told by them."""
    make_table(database, "named", ["name TEXT", "ts TEXT", *readings.COLUMNS])

    def add(rows):
        insert(database, "named", [(None, f"r{number}", *row) for number, *row in rows])

    add(readings.rows(LEARNED))
    return add


@pytest.fixture
def settings(settings):
    source = settings.source.model_copy(update={"table": "named", "key": "name"})
    more = {"source": source, "columns": ColumnSettings(exclude=("id",)), "lateness": LATENESS}
    return settings.model_copy(update=more)


@pytest.fixture
def monitor(add, settings, store, clock, monkeypatch):
    """A monitor that looks for late records in every run, and has judged a hundred."""
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e9)
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    add(readings.rows(100, first=LEARNED))
    assert score(monitor).counts.records_scored == 100
    yield monitor
    monitor.close()


def score(monitor) -> Run:
    tally = Run()
    monitor.score_once(tally, Stop())
    return tally


def at(number: float) -> str:
    return (readings.START + timedelta(seconds=number)).isoformat()


def execute(database, *statement) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(*statement)
    connection.close()


def all_scores(store, key) -> list:
    query = sa.select(scores).where(scores.c.record_key == key).order_by(scores.c.revision)
    with store.reading() as connection:
        return connection.execute(query).all()


def test_a_late_record_within_lateness_is_judged_once_and_said_to_be_late(monitor, add, store):
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    tally = score(monitor)
    assert (tally.counts.records_read, tally.counts.records_scored, tally.counts.records_late) == (
        1,
        1,
        1,
    )
    (row,) = all_scores(store, "r7000")
    assert (row.late, row.revision) == (True, 1)
    assert score(monitor).counts.records_scored == 0


def test_records_of_the_time_of_the_newest_one_are_judged_though_nothing_comes_after(
    monitor, add, store
):
    """Under keys on either side of the newest one's, and more of them than are read at a time."""
    newest = LEARNED + 99
    for first in (1000, 2000, 500, 3000):
        add([(first + n, at(newest), 6.0, 2.8, 1.8) for n in range(200)])
        assert score(monitor).counts.records_scored == 200
    assert score(monitor).counts.records_read == 0
    with store.reading() as connection:
        keys = list(connection.execute(sa.select(scores.c.record_key)).scalars())
    assert len(keys) == len(set(keys)) == 100 + 4 * 200
    assert store.mark("pumps").watermark.record_key == "r699"


def test_the_watermark_does_not_move_for_a_late_record(monitor, add, store):
    before = store.mark("pumps")
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    score(monitor)
    assert store.mark("pumps").watermark == before.watermark


def test_a_record_later_than_that_is_out_of_reach_and_one_just_within_is_not(monitor, add, store):
    newest = LEARNED + 99
    score(monitor)  # the place no record is looked for any more moves up to lateness
    settled = store.mark("pumps").settled.event_time
    assert settled == readings.START + timedelta(seconds=newest - 60)
    add([(7000, at(newest - 60.5), 6.0, 2.8, 1.8), (7001, at(newest - 59.5), 6.0, 2.8, 1.8)])
    assert score(monitor).counts.records_scored == 1
    assert (len(all_scores(store, "r7000")), len(all_scores(store, "r7001"))) == (0, 1)


def test_a_corrected_record_gets_a_revision_and_what_was_known_stays(
    monitor, database, store, clock
):
    then = clock()
    clock.forward(timedelta(hours=1))
    key = f"r{LEARNED + 80}"
    execute(database, "UPDATE named SET flow = 20, current = 0 WHERE name = ?", (key,))
    tally = score(monitor)
    assert (tally.counts.records_revised, tally.counts.records_scored) == (1, 0)
    assert len(tally.counts.exceedances) == 1
    first, second = all_scores(store, key)
    assert (first.verdict, second.verdict) == ("normal", "anomaly")
    assert (first.superseded_at, second.superseded_at) == (clock(), None)
    with store.reading() as connection:
        known = connection.execute(
            sa.text(
                "SELECT verdict FROM scores WHERE monitor = 'pumps' AND record_key = :key"
                " AND scored_at <= :at AND (superseded_at IS NULL OR superseded_at > :at)"
            ).bindparams(sa.bindparam("at", then, scores.c.scored_at.type)),
            {"key": key},
        ).scalars()
        assert list(known) == ["normal"]
    assert score(monitor).counts.records_revised == 0


def test_a_change_in_a_column_nobody_judges_is_no_revision(monitor, database, store):
    key = f"r{LEARNED + 80}"
    execute(database, "UPDATE named SET id = 99999 WHERE name = ?", (key,))
    assert score(monitor).counts.records_revised == 0
    assert len(all_scores(store, key)) == 1


def test_a_corrected_time_moves_the_record(monitor, database, store):
    key = f"r{LEARNED + 80}"
    execute(database, "UPDATE named SET ts = ? WHERE name = ?", (at(LEARNED + 70.5), key))
    assert score(monitor).counts.records_revised == 1
    first, second = all_scores(store, key)
    assert first.event_time - second.event_time == timedelta(seconds=9.5)
    assert (first.superseded_at is None, second.superseded_at is None) == (False, True)


def test_a_restart_or_a_new_detector_judges_nothing_twice(monitor, settings, store, clock):
    score(monitor)
    train_once("pumps", settings, store, clock)
    other = Monitor("pumps", settings, store, clock)
    tally = score(other)
    other.close()
    assert (tally.counts.records_scored, tally.counts.records_revised) == (0, 0)
    assert tally.counts.records_reviewed == 59


def test_looking_again_is_rationed(monitor, add, monkeypatch):
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e-9)
    score(monitor)
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    assert score(monitor).counts.records_scored == 0


def test_late_rows_with_growing_keys_beyond_lateness_are_counted_and_left(
    settings, store, clock, database
):
    source = settings.source.model_copy(update={"table": "readings", "key": "id"})
    settings = settings.model_copy(update={"source": source, "columns": ColumnSettings()})
    make_table(database, "unused", ["a TEXT"])
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    insert(database, "readings", readings.rows(100, first=LEARNED))
    score(monitor)
    newest = LEARNED + 99
    insert(database, "readings", [(8000, at(newest - 30.5), 6.0, 2.8, 1.8)])
    insert(database, "readings", [(8001, at(newest - 90.5), 6.0, 2.8, 1.8)])
    tally = score(monitor)
    monitor.close()
    assert (tally.counts.records_read, tally.counts.records_scored, tally.counts.records_late) == (
        2,
        1,
        1,
    )
    assert (tally.counts.records_too_late, tally.counts.rejected["too_late"]) == (1, 1)
    assert all_scores(store, "8001") == []


@pytest.mark.parametrize(("keep", "kept"), [("all", 100), ("flagged", 0), (0.3, None)])
def test_what_is_kept_is_a_setting_and_needs_no_second_look(
    add, settings, store, clock, monkeypatch, keep, kept
):
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e9)
    settings = settings.model_copy(update={"keep": keep, "lateness": None})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    add(readings.rows(100, first=LEARNED))
    add([(5000, at(LEARNED + 200), 9.0, 2.2, 0.8)])
    tally = score(monitor)
    monitor.close()
    assert tally.counts.records_scored == 101
    with store.reading() as connection:
        verdicts = list(connection.execute(sa.select(scores.c.verdict)).scalars())
    flagged = len(tally.counts.exceedances)
    assert verdicts.count("anomaly") == flagged >= 1
    normal = verdicts.count("normal")
    assert normal == kept - (flagged - 1) if keep == "all" else normal == kept or 15 <= normal <= 50


def test_with_lateness_scores_are_thinned_once_they_are_settled(
    add, settings, store, clock, monkeypatch
):
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e9)
    settings = settings.model_copy(update={"keep": "flagged"})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    add(readings.rows(100, first=LEARNED))
    score(monitor)
    tally = score(monitor)
    monitor.close()
    assert (tally.counts.records_scored, tally.counts.records_revised) == (0, 0)
    with store.reading() as connection:
        normal = scores.c.verdict == "normal"
        times = connection.execute(sa.select(scores.c.event_time).where(normal)).scalars().all()
    settled = store.mark("pumps").settled.event_time
    assert times
    assert min(times) > settled


def test_a_run_that_runs_out_of_time_goes_on_where_it_was(monitor, add, store):
    hurried = monitor.settings.model_copy(
        update={"score_timeout": timedelta(microseconds=2), "chunk_records": 25}
    )
    late = Monitor("pumps", hurried, store, monitor._clock)
    add([(7000, at(LEARNED + 90.5), 6.0, 2.8, 1.8)])
    counts = [score(late).counts.records_scored for _ in range(6)]
    late.close()
    assert sum(counts) == 1
    assert counts[0] == 0


def test_the_ledger_accounts_for_every_record(monitor, add, database, store):
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    execute(database, "UPDATE named SET flow = 20 WHERE name = ?", (f"r{LEARNED + 80}",))
    tally = score(monitor)
    assert tally.id is not None
    with store.reading() as connection:
        row = connection.execute(sa.select(runs).where(runs.c.id == tally.id)).one()
        coverage = connection.execute(sa.text("SELECT * FROM coverage")).mappings().all()
    assert (row.outcome, row.records_scored, row.records_revised) == (Outcome.RUNNING, 1, 1)
    assert [line["records_unaccounted"] for line in coverage] == [0]


def test_a_record_too_late_is_not_found_by_the_next_look_either(
    settings, store, clock, database, monkeypatch
):
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e9)
    source = settings.source.model_copy(update={"table": "readings", "key": "id"})
    settings = settings.model_copy(update={"source": source, "columns": ColumnSettings()})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    insert(database, "readings", readings.rows(100, first=LEARNED))
    score(monitor)
    score(monitor)
    insert(database, "readings", [(8001, at(LEARNED + 9.5), 6.0, 2.8, 1.8)])
    tallies = [score(monitor) for _ in range(3)]
    monitor.close()
    assert [tally.counts.records_too_late for tally in tallies] == [1, 0, 0]
    assert [tally.counts.records_scored for tally in tallies] == [0, 0, 0]
    assert all_scores(store, "8001") == []


def test_a_look_in_parts_settles_only_what_it_knew_at_its_beginning(
    monitor, add, store, monkeypatch
):
    """What came in behind its first part, within lateness, is met by the next look."""
    pieces = monitor.settings.model_copy(update={"chunk_records": 40})
    parted = Monitor("pumps", pieces, store, monitor._clock)
    monkeypatch.setattr("aemon.monitoring.monitor.ENOUGH_SHARE", 0.0)
    score(parted)
    assert parted._review._reached is not None
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    monkeypatch.setattr("aemon.monitoring.monitor.ENOUGH_SHARE", 0.5)
    add(readings.rows(100, first=LEARNED + 100))
    for _ in range(4):
        score(parted)
    parted.close()
    assert len(all_scores(store, "r7000")) == 1
    assert store.mark("pumps").settled.event_time == readings.START + timedelta(
        seconds=LEARNED + 139
    )


def test_what_retention_may_not_forget_is_not_judged_again(monitor, store, clock):
    """A source may be silent for longer than scores are kept."""
    score(monitor)
    clock.forward(timedelta(days=200))
    removed = prune(store, None, RetentionSettings(), clock(), rest=lambda _: None)
    assert removed["scores"] > 0
    tally = score(monitor)
    assert (tally.counts.records_scored, tally.counts.records_reviewed) == (0, 59)


def test_a_key_used_twice_is_not_revised_for_ever(monitor, database):
    """The settings say that keys are unique. Where they are not, it ends all the same."""
    rows = [
        (None, f"s{n % 45}", at(LEARNED + 100 + n), *readings.values(1, first=n)[0].tolist())
        for n in range(55)
    ]
    insert(database, "named", rows)
    revised = [score(monitor).counts.records_revised for _ in range(5)]
    assert revised[-3:] == [0, 0, 0]


def test_revisions_go_on_where_the_current_one_was_removed(
    add, settings, store, clock, database, monkeypatch
):
    """A flagged revision is kept for longer than the normal one that took its place."""
    monkeypatch.setattr(review, "SHARE_OF_TIME", 1e9)
    settings = settings.model_copy(update={"lateness": None})
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    normal = tuple(readings.values(1, first=7)[0].tolist())
    change = "UPDATE named SET ts = ?, flow = ?, pressure = ?, current = ? WHERE name = 'x'"
    insert(database, "named", [(None, "x", at(LEARNED + 1), 20.0, 2.0, 0.0)])
    assert len(score(monitor).counts.exceedances) == 1
    execute(database, change, (at(LEARNED + 2), *normal))
    score(monitor)
    # What may still be looked for is kept: records go on until that is over.
    later = [
        (None, name, at(LEARNED + second), *normal) for name, second in (("y", 50), ("z", 400))
    ]
    insert(database, "named", later)
    for _ in range(2):
        score(monitor)
    clock.forward(timedelta(days=100))
    prune(store, None, RetentionSettings(), clock(), rest=lambda _: None)
    assert [(row.revision, row.verdict) for row in all_scores(store, "x")] == [(1, "anomaly")]
    execute(database, change, (at(LEARNED + 800), 20.0, 2.0, 0.0))
    tally = score(monitor)
    monitor.close()
    assert (tally.counts.records_scored, len(tally.counts.exceedances)) == (1, 1)
    assert [row.revision for row in all_scores(store, "x")] == [1, 2]


def test_a_file_is_read_as_it_grows_so_keep_needs_no_patience(tmp_path, settings, store, clock):
    path = tmp_path / "plant.csv"

    def write(rows) -> None:
        with path.open("a") as file:
            file.writelines(",".join(map(str, row)) + "\n" for row in rows)

    write([("id", "ts", "flow", "pressure", "current"), *readings.rows(LEARNED)])
    source = CsvSource(path=path, time="ts", key="id")
    settings = settings.model_copy(
        update={"source": source, "keep": "flagged", "columns": ColumnSettings()}
    )
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    write(readings.rows(100, first=LEARNED))
    assert score(monitor).counts.records_scored == 100
    write([(9999, at(LEARNED + 20.5), 6.0, 2.8, 1.8), (9998, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    tally = score(monitor)
    monitor.close()
    assert (tally.counts.records_scored, tally.counts.records_too_late) == (1, 1)
    with store.reading() as connection:
        normal = scores.c.verdict == "normal"
        assert connection.execute(sa.select(scores).where(normal)).all() == []


def test_judging_again_keeps_what_was_late_and_gives_way_to_a_daemon(
    monitor, add, settings, store, clock, monkeypatch
):
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    score(monitor)
    clock.forward(timedelta(hours=1))
    train_once("pumps", settings, store, clock)
    other = Monitor("pumps", settings, store, clock)
    # A daemon moves the watermark between a look and the commit, once
    real, moved = store.mark, []

    def moving(name):
        mark = real(name)
        if not moved:
            moved.append(mark)
            with store.writing() as connection:
                store.move(connection, name, mark, mark.watermark)
        return mark

    monkeypatch.setattr(store, "mark", moving)
    tally = Run()
    other._mark = lambda _source: real("pumps")
    other.score_again(tally, Stop())
    other.close()
    assert tally.counts.records_revised == 101
    with store.reading() as connection:
        current = scores.c.superseded_at.is_(None)
        rows = connection.execute(sa.select(scores.c.record_key, scores.c.late).where(current))
        assert [key for key, late in rows if late] == ["r7000"]


@pytest.fixture
def by_default(monitor):
    """The same monitor, of which nobody asked for late records."""
    monitor.settings = monitor.settings.model_copy(update={"lateness": None})
    return monitor


def test_a_record_that_came_late_is_judged_once_without_being_asked_for(by_default, add, store):
    add([(7000, at(LEARNED + 60.5), 6.0, 2.8, 1.8)])
    assert score(by_default).counts.records_scored == 1
    assert score(by_default).counts.records_scored == 0
    assert len(all_scores(store, "r7000")) == 1


def test_records_of_one_time_that_come_one_by_one_are_all_judged(by_default, add, store):
    for number in (7003, 7001, 7002):
        add([(number, at(LEARNED + 100), 6.0, 2.8, 1.8)])
        score(by_default)
    add([(7004, at(LEARNED + 101), 6.0, 2.8, 1.8)])
    score(by_default)
    assert [len(all_scores(store, f"r700{number}")) for number in (1, 2, 3, 4)] == [1] * 4


def test_a_record_that_was_corrected_stays_as_it_was_unless_asked_for(by_default, database, store):
    execute(database, "UPDATE named SET pressure = 99 WHERE name = ?", (f"r{LEARNED + 80}",))
    score(by_default)
    assert [row.revision for row in all_scores(store, f"r{LEARNED + 80}")] == [1]
