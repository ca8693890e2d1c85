"""A backlog is judged in steps, with the trainings that would have come between."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from aemon.config.detector_settings import DetectorSettings
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store.schema.tables import detectors, scores
from tests.processes import insert, make_table
from tests.readings import COLUMNS, START

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

LEARNED = 600
HISTORY = 2_400  # records, one a minute
PACE = 0.001


def history(first, last):
    """A plant whose flow creeps up, by far more than its spread in any few hours."""
    for number in range(first, last):
        load, *noise = np.random.default_rng([1, number]).normal(size=4)
        flow, pressure, current = (10 + load, 4 - load, 3 + load) + 0.3 * np.array(noise)
        yield (
            number, (START + timedelta(minutes=number)).isoformat(),
            flow + PACE * number, pressure, current,
        )  # fmt: skip


@pytest.fixture
def old(settings, tmp_path):
    """Settings of a monitor whose source holds two days that are long over."""
    path = tmp_path / "old.db"
    make_table(path, "readings", ["ts TEXT", *COLUMNS])
    insert(path, "readings", history(0, HISTORY))
    changed = {
        "source": settings.source.model_copy(update={"url": SecretStr(f"sqlite:///{path}")}),
        "min_records": LEARNED, "max_training_records": LEARNED, "chunk_records": 1000,
        "train_every": timedelta(hours=10), "detector": DetectorSettings(kind="linear", members=2),
    }  # fmt: skip
    return settings.model_copy(update=changed)


def step(monitor):
    run = Run()
    outcome, reason = monitor.score_once(run, Stop())
    return outcome, reason, run.counts


def live_through(monitor, settings, store, clock):
    """Run after run, and a training at once whenever one is asked for; what the runs counted."""
    train_once("pumps", settings, store, clock)
    counts = [step(monitor)[2]]
    while counts[-1].unfinished:
        why = monitor.wants_training(clock())
        if why:
            train_once("pumps", settings, store, clock, why=why, trial=settings.life.trial)
        counts.append(step(monitor)[2])
    monitor.close()
    return counts


def flagged(store) -> int:
    with store.reading() as connection:
        query = sa.select(sa.func.count()).where(scores.c.verdict == "anomaly")
        return connection.execute(query).scalar_one()


def test_the_trainings_that_would_have_come_come_between(old, store, clock):
    settings = old.model_copy(update={"life": old.life.model_copy(update={"trial": False})})
    monitor = Monitor("pumps", settings, store, clock, in_steps=True)
    counts = live_through(monitor, settings, store, clock)
    # Each record is judged once, by a detector that learned from the hours before
    assert sum(one.records_scored for one in counts) == HISTORY - LEARNED
    with store.reading() as connection:
        query = sa.select(scores.c.event_time, detectors.c.trained_until).join(
            detectors, detectors.c.id == scores.c.detector_id
        )
        ages = [at - until for at, until in connection.execute(query)]
        ends = connection.scalars(
            sa.select(detectors.c.trained_until).order_by(detectors.c.version)
        ).all()
    assert max(ages) <= timedelta(hours=11)
    assert all(timedelta(hours=8) <= b - a <= timedelta(hours=11) for a, b in pairwise(ends))
    assert flagged(store) < 0.2 * (HISTORY - LEARNED), "one detector alone flags two times as many"


def test_a_detector_on_trial_ends_its_trial_within_the_backlog(old, store, clock):
    life = old.life.model_copy(update={"trial_records": 200})
    settings = old.model_copy(update={"life": life})
    monitor = Monitor("pumps", settings, store, clock, in_steps=True)
    live_through(monitor, settings, store, clock)
    with store.reading() as connection:
        states = connection.scalars(
            sa.select(detectors.c.state).order_by(detectors.c.version)
        ).all()
    assert "shadow" not in states[:-1]
    assert states[1] in ("active", "retired"), "it was promoted, for the first one is out of date"


@pytest.mark.parametrize("chunk", [1000, 601, 100])  # the second ends where the step does
def test_a_step_says_how_far_it_came_and_what_it_waits_for(old, store, clock, chunk):
    old = old.model_copy(update={"chunk_records": chunk})
    monitor = Monitor("pumps", old, store, clock, in_steps=True)
    train_once("pumps", old, store, clock)
    outcome, reason, counts = step(monitor)
    assert (outcome, counts.records_scored, counts.unfinished) == (Outcome.OK, 601, True)
    assert reason == "a backlog is judged step by step, up to 2026-01-01 20:00 so far"
    assert monitor.behind
    assert monitor.wants_training(clock()) == (
        "schedule: a backlog was judged from 2026-01-01 09:59 to 2026-01-01 20:00"
    )
    outcome, reason = monitor.await_training(Run(), Stop())
    assert outcome is Outcome.OK
    assert "waits for a training" in reason
    monitor.close()


@pytest.mark.parametrize(("train_every", "in_steps"), [("90d", True), ("10h", False)])
def test_what_is_no_backlog_is_judged_at_once(old, store, clock, train_every, in_steps):
    """Nor is it in steps where nobody trains between."""
    every = {"90d": timedelta(days=90), "10h": timedelta(hours=10)}[train_every]
    settings = old.model_copy(update={"train_every": every})
    monitor = Monitor("pumps", settings, store, clock, in_steps=in_steps)
    train_once("pumps", settings, store, clock)
    outcome, reason, counts = step(monitor)
    assert (outcome, counts.records_scored) == (Outcome.OK, HISTORY - LEARNED)
    assert ("one detector judged all records from" in reason) is not in_steps
    assert (counts.unfinished, monitor.behind) == (False, False)
    monitor.close()


def test_records_that_come_later_are_none_however_old_their_times_are(old, store, clock, tmp_path):
    # Given a monitor that has judged all that was there when it began
    settings = old.model_copy(update={"life": old.life.model_copy(update={"trial": False})})
    monitor = Monitor("pumps", settings, store, clock, in_steps=True)
    live_through(monitor, settings, store, clock)
    monitor = Monitor("pumps", settings, store, clock, in_steps=True)
    insert(tmp_path / "old.db", "readings", history(HISTORY, HISTORY + 10))
    step(monitor)
    # When a replay goes on, with two more days at once
    insert(tmp_path / "old.db", "readings", history(HISTORY + 10, 2 * HISTORY))
    outcome, reason, counts = step(monitor)
    behind, why = monitor.behind, monitor.wants_training(clock())
    monitor.close()
    # Then they are judged as they come, and no training is waited for
    assert outcome is Outcome.OK, reason
    assert counts.records_scored == HISTORY - 10
    assert not counts.unfinished
    assert not behind
    assert "backlog" not in why
