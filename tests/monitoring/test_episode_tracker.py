"""Episodes are written with the verdicts they tell of, or not at all."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aemon.config.episode_settings import EpisodeSettings
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import FeedbackVerdict, OpenEpisodes
from aemon.run import AbandonedError, Run, Stop
from aemon.store.episode_queries import (
    acknowledge,
    add_episode_feedback,
    close,
    episode_summaries,
    label,
)
from aemon.store.episodes import MOST_NAMED, count_open
from aemon.store.feedback import read_feedback
from aemon.store.schema.tables import anomalies, episodes
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

ODD = (9.0, 2.2, 0.8)
NORMAL = (5.0, 3.0, 1.5)


@pytest.fixture
def monitor(settings, store, clock, database):
    train_once("pumps", settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock)
    yield monitor
    monitor.close()


def add(database, first: int, pattern: str) -> None:
    """Readings a second apart: `x` an odd one, `.` a normal one."""
    rows = [
        (first + n, (readings.START + timedelta(seconds=first + n)).isoformat(),
         *(ODD if mark == "x" else NORMAL))
        for n, mark in enumerate(pattern)
    ]  # fmt: skip
    insert(database, "readings", rows)


def all_episodes(store) -> list:
    with store.reading() as connection:
        return connection.execute(sa.select(episodes).order_by(episodes.c.started_at)).all()


def test_an_episode_goes_on_from_run_to_run_and_is_closed_by_calm(monitor, database, store):
    add(database, LEARNED, "..xx.")
    monitor.score_once(Run(), Stop())
    (episode,) = all_episodes(store)
    assert (episode.state, episode.records, episode.severity) == ("open", 2, "critical")
    add(database, LEARNED + 5, "x" + "." * 10)
    monitor.score_once(Run(), Stop())
    (episode,) = all_episodes(store)
    assert (episode.state, episode.records) == ("closed", 3)
    assert episode.ended_at - episode.started_at == timedelta(seconds=3)
    assert episode.feature in {"flow", "pressure", "current"}
    with store.reading() as connection:
        members = connection.execute(sa.select(anomalies.c.episode_id)).scalars().all()
        shown = connection.execute(sa.text("SELECT episode_id FROM flagged_records")).scalars()
        assert set(shown) == {episode.id}
    assert members == [episode.id] * 3


def test_what_is_taken_back_takes_its_episode_along(monitor, database, store):
    add(database, LEARNED, "..x.")
    stop = Stop()
    real = monitor._clock

    def late():
        stop.ask("not done after 1 s")
        return real()

    monitor._clock = late
    with pytest.raises(AbandonedError):
        monitor.score_once(Run(), stop)
    assert all_episodes(store) == []
    assert store.mark("pumps").watermark.record_key == str(LEARNED - 1)


def test_a_late_anomaly_lies_in_an_episode_or_has_its_own(monitor, database, store):
    add(database, LEARNED, "..x.x....................")
    monitor.score_once(Run(), Stop())
    late = [(8000 + n, (readings.START + timedelta(seconds=LEARNED + at)).isoformat(), *ODD)
            for n, at in enumerate((3.5, 15.5))]  # fmt: skip
    insert(database, "readings", late)
    monitor.score_once(Run(), Stop())
    found = [(row.state, row.records) for row in all_episodes(store)]
    assert found == [("closed", 3), ("closed", 1)]


def test_a_record_judged_again_stays_in_its_episode(monitor, database, store, settings, clock):
    add(database, LEARNED, "..xx.")
    monitor.score_once(Run(), Stop())
    (episode,) = all_episodes(store)
    clock.forward(timedelta(hours=1))
    train_once("pumps", settings, store, clock)
    tally = Run()
    monitor.score_again(tally, Stop())
    assert tally.counts.records_revised == 5
    with store.reading() as connection:
        shown = connection.execute(
            sa.text("SELECT revision, late, episode_id FROM flagged_records")
        ).all()
        precision = connection.execute(
            sa.text("SELECT detector_version, flagged FROM detector_precision ORDER BY 1")
        ).all()
    assert [(row.revision, bool(row.late), row.episode_id) for row in shown] == [
        (2, False, episode.id)
    ] * 2
    assert [tuple(row) for row in precision] == [(1, 2), (2, 2)]


def actions(caplog) -> list[str]:
    return [r.action for r in caplog.records if r.action.startswith("episode.")]


def test_an_episode_is_told_and_counted_once_when_it_opens_and_when_it_ends(
    monitor, database, store, caplog, clock
):
    caplog.set_level("INFO", logger="aemon")
    clock.now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    tally = Run()
    add(database, LEARNED, ".xx")
    monitor.score_once(tally, Stop())
    there = tally.counts.episodes_open
    assert (tally.counts.episodes_opened, there.critical, there.total) == ({"critical": 1}, 1, 1)
    (named,) = there.named
    assert (named.id, named.entity, named.severity, named.state) == (1, "", "critical", "open")
    assert named.column == "current"
    assert actions(caplog) == ["episode.opened"]
    tally = Run()
    add(database, LEARNED + 3, "x" + "." * 10)
    monitor.score_once(tally, Stop())
    there = tally.counts.episodes_open
    assert (tally.counts.episodes_opened, there.total) == ({}, 0)
    assert [one.state for one in there.named] == ["closed"], "it was told just now"
    clock.forward(timedelta(minutes=6))
    with store.reading() as connection:
        assert count_open(connection, "pumps", store.now()) == OpenEpisodes()
    assert actions(caplog) == ["episode.opened", "episode.closed"]
    assert caplog.records[-1].getMessage().startswith("3 records, ")


def test_an_episode_of_a_backlog_is_stored_and_not_counted(monitor, database, store, clock):
    """A table's history, when a detector first judges it, lets no alert fire."""
    clock.forward(timedelta(days=8))
    tally = Run()
    add(database, LEARNED, ".xx" + "." * 10)
    monitor.score_once(tally, Stop())
    assert [e.state for e in all_episodes(store)] == ["closed"]
    assert (tally.counts.episodes_opened, tally.counts.episodes_open) == ({}, OpenEpisodes())


def test_a_short_episode_is_told_to_nobody(monitor, database, store, caplog):
    caplog.set_level("INFO", logger="aemon")
    rules = EpisodeSettings(min_records=3)
    monitor.settings = monitor.settings.model_copy(update={"episodes": rules})
    tally = Run()
    add(database, LEARNED, ".xx........x.x")
    monitor.score_once(tally, Stop())
    assert [(e.state, e.opened_at) for e in all_episodes(store)] == [
        ("closed", None), ("forming", None)]  # fmt: skip
    assert (tally.counts.episodes_opened, tally.counts.episodes_open, actions(caplog)) == (
        {},
        OpenEpisodes(),
        [],
    )
    assert episode_summaries(store, ["pumps"]) == []
    add(database, LEARNED + 14, "x")
    monitor.score_once(tally, Stop())
    (told,) = episode_summaries(store, ["pumps"])
    assert (told.state, told.records, tally.counts.episodes_open.total) == ("open", 3, 1)
    assert actions(caplog) == ["episode.opened"]


def test_a_record_between_both_lines_neither_begins_an_episode_nor_ends_it(
    monitor, database, store
):
    """Given a line so low that no record is calm, and the usual one."""
    for end_line, state in ((1e-9, "open"), (0.8, "closed")):
        rules = EpisodeSettings(end_line=end_line)
        monitor.settings = monitor.settings.model_copy(update={"episodes": rules})
        first = LEARNED if state == "open" else LEARNED + 11
        add(database, first, "x" + "." * 10)
        monitor.score_once(Run(), Stop())
        assert all_episodes(store)[-1].state == state


def test_the_same_fault_again_is_named_after_the_first(monitor, database, store, caplog):
    add(database, LEARNED, "xx" + "." * 10)
    monitor.score_once(Run(), Stop())
    (first,) = all_episodes(store)
    assert first.pattern.keys() == {"flow", "pressure", "current"}
    assert (first.like_id, first.likeness) == (None, None)
    label(store, first.id, "stuck sensor")
    add(database, LEARNED + 12, "x." + "." * 10 + "x" + "." * 10)
    monitor.score_once(Run(), Stop())
    _, second, third = episode_summaries(store, ["pumps"])[::-1]
    for again in (second, third):
        assert again.like == f"like episode {first.id}, labelled stuck sensor"
        assert again.likeness == pytest.approx(1, abs=0.05)
    assert f"; like episode {first.id}, labelled stuck sensor" in caplog.text


def test_people_take_up_close_label_and_answer_an_episode(monitor, database, store, clock):
    add(database, LEARNED, ".xx")
    monitor.score_once(Run(), Stop())
    (told,) = episode_summaries(store, ["pumps"], open_only=True)
    assert (told.opened_at, told.acknowledged_at, told.blame.keys()) == (
        clock(), None, {"flow", "pressure", "current"})  # fmt: skip
    acknowledge(store, told.id, "on my way")
    clock.forward(timedelta(hours=1))
    acknowledge(store, told.id)
    add(database, LEARNED + 3, "x")
    monitor.score_once(Run(), Stop())
    (told,) = episode_summaries(store, ["pumps"], number=told.id)
    assert (told.state, told.records, told.note) == ("acknowledged", 3, "on my way")
    assert told.acknowledged_at == clock() - timedelta(hours=1)
    close(store, told.id, "valve replaced")
    assert episode_summaries(store, ["pumps"], open_only=True) == []
    tally = Run()
    add(database, LEARNED + 4, "x")
    monitor.score_once(tally, Stop())
    assert tally.counts.episodes_open.total == 1
    assert add_episode_feedback(store, told, FeedbackVerdict.CONFIRMED, "leak") == 3
    assert [(one.record_key, one.entity, one.note) for one in read_feedback(store, "pumps")] == [
        (str(LEARNED + n), "", "leak") for n in (1, 2, 3)]  # fmt: skip
    assert episode_summaries(store, ["another"]) == []


def test_what_is_not_flagged_any_more_is_not_answered(monitor, database, store):
    import sqlite3

    add(database, LEARNED, ".xx")
    monitor.score_once(Run(), Stop())
    (told,) = episode_summaries(store, ["pumps"])
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(
            "UPDATE readings SET flow = 5, pressure = 3, current = 1.5 WHERE id = ?", (LEARNED + 1,)
        )
    connection.close()
    monitor.score_again(Run(), Stop())
    assert add_episode_feedback(store, told, FeedbackVerdict.CONFIRMED) == 1


def test_of_many_open_episodes_an_alert_names_the_first(store):
    """Series cost Prometheus most: the rest is a number."""
    now = store.now()
    row = {
        "monitor": "pumps", "state": "open", "severity": "warning", "started_at": now,
        "ended_at": now, "records": 3, "peak_exceedance": 2.0, "peak_record_key": "7",
        "feature": "flow", "blame": {"flow": 3.0}, "calm_records": 0, "updated_at": now,
        "opened_at": now,
    }  # fmt: skip
    rows = [{**row, "entity": f"p{number}"} for number in range(MOST_NAMED + 3)]
    rows += [{**row, "entity": "hot", "severity": "critical", "state": "acknowledged"}]
    with store.writing() as connection:
        connection.execute(sa.insert(episodes), rows)
    with store.reading() as connection:
        there = count_open(connection, "pumps", now)
    assert (there.warning, there.critical, there.acknowledged) == (MOST_NAMED + 3, 0, 1)
    by_severity = Counter(one.severity.value for one in there.named)
    assert by_severity == {"warning": MOST_NAMED, "critical": 1}
    assert there.unnamed == {"warning": 3}
