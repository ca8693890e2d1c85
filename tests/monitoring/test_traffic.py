"""Silent entities and rates of records over a source: told once, across restarts."""

import logging
from datetime import timedelta

import numpy as np
import pytest

from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.schema import Config
from aemon.doctor.finding import Level
from aemon.doctor.monitor_checks import records
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store.queries import overview
from tests.processes import insert, make_table
from tests.readings import START, values

LEARNED = 600
PUMPS = ("p1", "p2", "p3")


def rows(count, *, first, pumps=PUMPS, pause=1.0):
    """A record of a pump every `pause` seconds, one after the other."""
    for number, record in enumerate(values(count, first=first), start=first):
        time = START + timedelta(seconds=number * pause)
        yield (number, time.isoformat(), pumps[number % len(pumps)], *record.tolist())


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "plant.db"
    columns = ["ts TEXT", "pump TEXT", "flow REAL", "pressure REAL", "current REAL"]
    make_table(path, "readings", columns)
    return path


@pytest.fixture
def settings(settings):
    source = settings.source.model_copy(update={"entity": "pump"})
    life = LifecycleSettings(trial=False, recalibrate=False)
    return settings.model_copy(update={"source": source, "min_records": LEARNED, "life": life})


def score(settings, store, clock) -> Run:
    """A run of a monitor that was just started."""
    monitor, run = Monitor("pumps", settings, store, clock), Run()
    assert monitor.score_once(run, Stop())[0] is Outcome.OK
    monitor.close()
    return run


def heard(caplog, about) -> list[str]:
    found = [r.action for r in caplog.records if r.action.startswith(about)]
    caplog.clear()
    return found


def told(store, clock):
    (seen,) = overview(store, ["pumps"], clock())
    return seen.traffic


def test_a_silent_entity_is_told_once_and_when_it_is_back(settings, store, clock, database, caplog):
    insert(database, "readings", rows(LEARNED, first=0))
    train_once("pumps", settings, store, clock)
    caplog.set_level(logging.INFO)
    actions = []
    for first, pumps in (
        (600, PUMPS),
        (630, PUMPS[:2]),
        (660, PUMPS[:2]),
        (690, PUMPS[:2]),
        (720, PUMPS),
    ):
        insert(database, "readings", rows(30, first=first, pumps=pumps))
        run = score(settings, store, clock)
        now = heard(caplog, "entity")
        actions.append((run.counts.traffic.silent, now, told(store, clock)))
    assert [silent for silent, _, _ in actions] == [0, 0, 1, 1, 0]
    assert [now for _, now, _ in actions] == [[], [], ["entity.silent"], [], ["entity.back"]]
    (sentence,) = actions[3][2]
    assert sentence == (
        "p3 is silent: no record since 2026-01-01 00:10:29 UTC, while other entities send; its longest pause "
        "in training was 3s"
    )
    assert actions[4][2] == ()


def test_the_doctor_finds_a_silent_entity(settings, store, clock, database):
    insert(database, "readings", rows(LEARNED, first=0))
    train_once("pumps", settings, store, clock)
    insert(database, "readings", rows(60, first=600, pumps=PUMPS[:2]))
    score(settings, store, clock)
    found = [*records(store, Config(monitors={"pumps": settings}))]
    assert [one.level for one in found] == [Level.WARNING]
    assert "pumps: p3 is silent: no record since" in found[0].what


@pytest.mark.parametrize(("silent_after", "silent"), [("never", 0), ("5m", 0), ("20s", 1)])
def test_settings_say_what_is_told(settings, store, clock, database, silent_after, silent):
    read = settings.model_validate({**settings.model_dump(), "silent_after": silent_after})
    insert(database, "readings", rows(LEARNED, first=0))
    train_once("pumps", read, store, clock)
    insert(database, "readings", rows(60, first=600, pumps=PUMPS[:2]))
    assert score(read, store, clock).counts.traffic.silent == silent


@pytest.mark.parametrize("watched", [True, False])
def test_an_unusual_number_of_records_is_told(settings, store, clock, database, watched, caplog):
    # Given a record every five minutes for two days and more
    insert(database, "readings", rows(LEARNED, first=0, pause=300))
    settings = settings.model_copy(update={"watch_rate": watched})
    train_once("pumps", settings, store, clock)
    # When five times as many come
    late = START + timedelta(seconds=LEARNED * 300)
    more = []
    for number, record in enumerate(values(900, first=LEARNED), start=LEARNED):
        time = late + timedelta(seconds=(number - LEARNED) * 60)
        more.append((number, time.isoformat(), PUMPS[number % 3], *record.tolist()))
    found = []
    for part in np.array_split(np.arange(900), 3):
        insert(database, "readings", [more[place] for place in part])
        found.append(score(settings, store, clock).counts.traffic.unusual_rate)
    # Then that is told, once
    assert found[-1] is watched
    assert heard(caplog, "rate") == (["rate.unusual"] if watched else [])
    assert bool(told(store, clock)) is watched
