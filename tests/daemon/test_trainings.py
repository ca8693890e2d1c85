"""Trainings take turns; one that nobody wants any more is not begun, and holds up no other."""

import threading
import time
from types import SimpleNamespace

import pytest

from aemon.daemon.scheduler import Scheduler
from aemon.daemon.trainings import Lifecycle
from aemon.records import Outcome


class SlowRunner:
    """Runs nothing: each training takes until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.release = threading.Event()

    def run(self, monitor, job, work, timeout):
        self.begun.append(monitor)
        self.release.wait(10)
        return SimpleNamespace(outcome=Outcome.OK)


@pytest.fixture
def runner():
    return SlowRunner()


@pytest.fixture
def missed():
    return []


@pytest.fixture
def lifecycle(runner, missed, clock):
    scheduler = Scheduler(lambda *what: missed.append(what))
    scheduler.start(lambda: None)
    lifecycle = Lifecycle("sqlite://", runner, scheduler, clock, lambda: False)
    yield lifecycle
    runner.release.set()
    lifecycle.stop()
    scheduler.stop()


def watched(name, settings):
    """A monitor that wants a training at every look, until it had one."""
    return SimpleNamespace(
        name=name, settings=settings, fence=None, wants_training=lambda _now: "schedule: old"
    )


def wait(done, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_monitor_whose_settings_changed_while_it_waited_is_trained_once_and_by_the_new_ones(
    lifecycle, runner, missed, settings
):
    # Given a training that goes on, and another monitor that waits for its turn
    lifecycle.look_after(watched("first", settings), enough=False)
    wait(lambda: runner.begun == ["first"])
    lifecycle.look_after(watched("second", settings), enough=False)
    time.sleep(0.3)
    # When the second one is reloaded
    lifecycle.forget("second")
    again = watched("second", settings)
    lifecycle.look_after(again, enough=False)
    time.sleep(0.3)
    runner.release.set()
    # Then it has its turn, once, and may ask again afterwards
    wait(lambda: runner.begun == ["first", "second"])
    assert missed == []
    time.sleep(0.3)
    assert runner.begun == ["first", "second"]
    lifecycle.look_after(again, enough=False)
    wait(lambda: runner.begun == ["first", "second", "second"])
