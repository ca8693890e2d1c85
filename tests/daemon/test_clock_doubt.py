"""Whether ages can be trusted: steps of the clock while it runs, and gaps in the ledger at a start."""

from datetime import timedelta

import pytest

from aemon.daemon.clock_doubt import ClockDoubt
from aemon.records import Job, Outcome
from aemon.run import Run
from aemon.store.ledger import save_run

DAY, YEAR = timedelta(days=1), timedelta(days=365)


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
        assert doubt.reason() == ""


def test_a_clock_that_is_slewed_is_trusted(doubt, steady, clock):
    for _ in range(100):
        steady.pass_by(timedelta(hours=1))
        clock.forward(timedelta(seconds=1.8))
        assert doubt.reason() == ""


@pytest.mark.parametrize("step", [timedelta(hours=1), 400 * DAY, 6 * YEAR])
def test_a_clock_set_ahead_is_not_trusted_for_a_day(doubt, steady, clock, step):
    clock.forward(step)
    assert "the clock was set ahead by" in doubt.reason()
    steady.pass_by(timedelta(hours=23))
    assert doubt.reason() != ""
    steady.pass_by(timedelta(hours=2))
    assert doubt.reason() == ""


@pytest.mark.parametrize("step", [timedelta(hours=1), 6 * YEAR])
def test_a_clock_that_is_set_right_again_is_trusted(doubt, steady, clock, step):
    for there in (step, -step):
        clock.forward(there)
        assert (doubt.reason() != "") == (there > timedelta(0))
        clock.forward(-there)
        assert doubt.reason() == ""


def test_at_a_start_long_after_the_newest_run_results_stay_until_new_ones_are_a_day_old(
    store, clock, steady
):
    ran(store, clock() - 400 * DAY)
    doubt = ClockDoubt(store, clock, steady)
    ran(store, clock())
    assert "begin again after a gap" in doubt.reason()
    for _ in range(26):
        steady.pass_by(timedelta(hours=1))
        ran(store, clock())
    assert ClockDoubt(store, clock, steady).reason() == ""


def test_a_store_without_a_gap_is_trusted_from_the_start(store, clock, steady):
    assert ClockDoubt(store, clock, steady).reason() == ""
    for days in (0, 3, 6, 9, 12):
        ran(store, clock() - days * DAY)
    assert ClockDoubt(store, clock, steady).reason() == ""
