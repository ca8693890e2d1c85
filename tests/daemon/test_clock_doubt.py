"""Whether ages can be trusted: steps of the clock while it runs, and gaps in the ledger at a start."""

from datetime import timedelta

import pytest

from aemon.daemon.clock_doubt import ClockDoubt
from aemon.records import Job, Outcome
from aemon.run import Run
from aemon.store.ledger import save_run

DAY, YEAR = timedelta(days=1), timedelta(days=365)
TICK = timedelta(minutes=1)


class Steady:
    """Seconds that pass with the clock, unless it is set."""

    def __init__(self, clock):
        self.clock, self.seconds = clock, 1000.0

    def __call__(self):
        return self.seconds

    def pass_by(self, time):
        self.seconds += time.total_seconds()
        self.clock.forward(time)


@pytest.fixture
def steady(clock):
    return Steady(clock)


@pytest.fixture
def doubt(store, clock, steady):
    return ClockDoubt(store, clock, steady)


def ran(store, at):
    save_run(store, Run().report("pumps", Job.SCORE, Outcome.OK, "", (at, at)))


def test_a_clock_that_goes_on_is_trusted(doubt, steady):
    for _ in range(100):
        steady.pass_by(timedelta(hours=7))
        assert doubt.reason(TICK) == ""


def test_a_clock_that_is_slewed_is_trusted(doubt, steady, clock):
    for _ in range(100):
        steady.pass_by(timedelta(hours=1))
        clock.forward(timedelta(seconds=1.8))
        assert doubt.reason(TICK) == ""


@pytest.mark.parametrize("step", [timedelta(hours=1), 400 * DAY, 6 * YEAR])
def test_a_clock_set_ahead_is_not_trusted_for_a_day(doubt, steady, clock, step):
    clock.forward(step)
    assert "the clock was set ahead by" in doubt.reason(TICK)
    steady.pass_by(timedelta(hours=23))
    assert doubt.reason(TICK) != ""
    steady.pass_by(timedelta(hours=2))
    assert doubt.reason(TICK) == ""


@pytest.mark.parametrize("step", [timedelta(hours=1), 6 * YEAR])
def test_a_clock_that_is_set_right_again_is_trusted(doubt, steady, clock, step):
    for there in (step, -step):
        clock.forward(there)
        assert (doubt.reason(TICK) != "") == (there > timedelta(0))
        clock.forward(-there)
        assert doubt.reason(TICK) == ""


def test_at_a_start_long_after_the_newest_run_results_stay_until_new_ones_are_a_day_old(
    store, clock, steady
):
    ran(store, clock() - 400 * DAY)
    doubt = ClockDoubt(store, clock, steady)
    ran(store, clock())
    assert "begin again after a gap" in doubt.reason(TICK)
    for _ in range(26):
        steady.pass_by(timedelta(hours=1))
        ran(store, clock())
    assert ClockDoubt(store, clock, steady).reason(TICK) == ""


def test_a_store_without_a_gap_is_trusted_from_the_start(store, clock, steady):
    assert ClockDoubt(store, clock, steady).reason(TICK) == ""
    for hours in range(0, 24 * 12, 1):
        ran(store, clock() - hours * timedelta(hours=1))
    assert ClockDoubt(store, clock, steady).reason(TICK) == ""


@pytest.mark.parametrize("step", [2 * DAY, 6 * DAY, 400 * DAY])
def test_a_step_before_a_start_is_seen_in_the_ledger(store, clock, steady, step):
    # Given a daemon that ran each half hour, a clock that was set ahead, and a start after that
    for halves in range(100):
        ran(store, clock() - halves * timedelta(minutes=30))
    clock.forward(step)
    ran(store, clock())
    # When the new daemon asks, then nothing is to be removed for a day
    assert "after a gap of more than 1h" in ClockDoubt(store, clock, steady).reason(TICK)


def test_monitors_that_run_once_a_day_leave_no_gap(store, clock, steady):
    for days in (0, 1, 2, 3, 4):
        ran(store, clock() - days * DAY)
    assert ClockDoubt(store, clock, steady).reason(DAY) == ""
    steady.pass_by(timedelta(hours=-3))
    assert "more than 2h" in ClockDoubt(store, clock, steady).reason(timedelta(hours=1))
