"""Episodes are written with the verdicts they tell of, or not at all."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.service.monitor import Monitor
from aemon.service.run import AbandonedError, Stop, Tally
from aemon.service.training import train_once
from aemon.store.tables import anomalies, episodes
from tests import readings
from tests.processes import insert

from .conftest import LEARNED

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
    monitor.score_once(Tally(), Stop())
    (episode,) = all_episodes(store)
    assert (episode.state, episode.records, episode.severity) == ("open", 2, "critical")
    add(database, LEARNED + 5, "x" + "." * 10)
    monitor.score_once(Tally(), Stop())
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
        monitor.score_once(Tally(), stop)
    assert all_episodes(store) == []
    assert store.mark("pumps").watermark.record_key == str(LEARNED - 1)


def test_a_late_anomaly_lies_in_an_episode_or_has_its_own(monitor, database, store):
    add(database, LEARNED, "..x.x....................")
    monitor.score_once(Tally(), Stop())
    late = [(8000 + n, (readings.START + timedelta(seconds=LEARNED + at)).isoformat(), *ODD)
            for n, at in enumerate((3.5, 15.5))]  # fmt: skip
    insert(database, "readings", late)
    monitor.score_once(Tally(), Stop())
    found = [(row.state, row.records) for row in all_episodes(store)]
    assert found == [("closed", 3), ("closed", 1)]


def test_a_record_judged_again_stays_in_its_episode(monitor, database, store, settings, clock):
    add(database, LEARNED, "..xx.")
    monitor.score_once(Tally(), Stop())
    (episode,) = all_episodes(store)
    clock.forward(timedelta(hours=1))
    train_once("pumps", settings, store, clock)
    tally = Tally()
    monitor.score_again(tally, Stop())
    assert tally.records_revised == 5
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
