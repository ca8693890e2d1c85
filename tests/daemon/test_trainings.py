"""Trainings take turns; one that nobody wants any more is not begun, and holds up no other."""

import threading
import time
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace

import pytest

from aemon.clock import utc_now
from aemon.daemon import trainings as module
from aemon.daemon.scheduler import Scheduler
from aemon.daemon.trainings import Trainings
from aemon.errors import AemonError, WorkerError
from aemon.lifecycle.policy import FIRST_RETRY
from aemon.lifecycle.training_run import Trained, train_in_worker
from aemon.records import Outcome
from aemon.run import Run, Stop


class SlowRunner:
    """Runs nothing: each training takes until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.release = threading.Event()

    def run(self, monitor, job, work, timeout):
        self.begun.append(monitor)
        self.release.wait(10)
        return SimpleNamespace(outcome=Outcome.OK)


class PlainRunner:
    """Does each run at once, and keeps how it ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, Outcome, str]] = []
        self.stop = Stop()

    def run(self, monitor, job, work, timeout):
        remedy = None
        try:
            outcome, reason = work(Run(), self.stop)
        except AemonError as error:
            outcome, reason, remedy = Outcome.FAILED, str(error), error.remedy
        self.ended.append((monitor, outcome, reason))
        return SimpleNamespace(outcome=outcome, remedy=remedy)


class FakeWorkers:
    """Workers that a test answers for."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tasks: dict[str, Future] = {}
        self.memory: dict[str, int] = {}
        self.is_shut_down = False

    def submit(self, fn, /, *args, memory=None):
        assert fn is train_in_worker
        name = args[0]
        self.tasks[name] = Future()
        self.memory[name] = memory
        if self.is_shut_down:
            self.kill(self.tasks[name])
        return self.tasks[name]

    def kill(self, future):
        if not future.done():
            future.set_exception(WorkerError("the training worker was killed"))

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.is_shut_down = True
        for future in self.tasks.values() if cancel_futures else ():
            self.kill(future)


TRAINED = Trained(
    id=7, threshold_id=8, version=1, records=1000, excluded=0, summary="", seconds=2.0,
    validation_error=0.1, threshold=1.5, on_trial=False, seen="", note="",
)  # fmt: skip


@pytest.fixture
def missed():
    return []


@pytest.fixture
def training(missed, clock):
    """Makes trainings with a runner and workers, and ends them after the test."""
    made = []

    def training(runner, workers):
        scheduler = Scheduler(lambda *what: missed.append(what), workers.capacity, utc_now)
        scheduler.start(lambda: None)
        trainings = Trainings("sqlite://", workers, runner, scheduler, clock, lambda: False)
        made.append((trainings, scheduler, runner))
        return trainings

    yield training
    for trainings, scheduler, runner in made:
        if isinstance(runner, SlowRunner):
            runner.release.set()
        trainings.stop()
        scheduler.stop()


def watched(name, settings, *, behind=False):
    """A monitor that wants a training at every look, until it had one."""
    return SimpleNamespace(
        name=name, settings=settings, fence=None, wants_training=lambda _now: "schedule: old",
        behind=behind,
    )  # fmt: skip


def wait(done, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_monitor_whose_settings_changed_while_it_waited_is_trained_once_and_by_the_new_ones(
    training, missed, settings
):
    runner = SlowRunner()
    trainings = training(runner, FakeWorkers(1))
    # Given a training that goes on, and another monitor that waits for its turn
    trainings.look_after(watched("first", settings), enough=False)
    wait(lambda: runner.begun == ["first"])
    trainings.look_after(watched("second", settings), enough=False)
    time.sleep(0.3)
    # When the second one is reloaded
    trainings.forget("second")
    again = watched("second", settings)
    trainings.look_after(again, enough=False)
    time.sleep(0.3)
    runner.release.set()
    # Then it has its turn, once, and may ask again afterwards
    wait(lambda: runner.begun == ["first", "second"])
    assert missed == []
    time.sleep(0.3)
    assert runner.begun == ["first", "second"]
    trainings.look_after(again, enough=False)
    wait(lambda: runner.begun == ["first", "second", "second"])


@pytest.mark.parametrize("capacity", [1, 2])
def test_as_many_are_trained_at_once_as_there_are_workers(training, settings, capacity):
    # Given three monitors that want a training
    runner, workers = PlainRunner(), FakeWorkers(capacity)
    trainings = training(runner, workers)
    for name in ("first", "second", "third"):
        trainings.look_after(watched(name, settings), enough=False)
    # When the workers are busy
    wait(lambda: len(workers.tasks) == capacity)
    time.sleep(0.3)
    assert [*workers.tasks] == ["first", "second", "third"][:capacity]
    # Then the next one begins as soon as a worker is free
    workers.tasks["first"].set_result(TRAINED)
    wait(lambda: len(workers.tasks) == capacity + 1)
    assert runner.ended == [("first", Outcome.OK, TRAINED.sentence)]


def test_a_worker_may_take_as_much_memory_as_its_monitors_settings_say(training, settings):
    workers = FakeWorkers(1)
    life = settings.life.model_copy(update={"train_memory": 123_000_000})
    small = watched("small", settings.model_copy(update={"life": life}))
    training(PlainRunner(), workers).look_after(small, enough=False)
    wait(lambda: workers.memory == {"small": 123_000_000})


@pytest.mark.parametrize("later", [FIRST_RETRY, timedelta(days=-2000)])
def test_a_worker_that_fails_is_a_failed_run_and_tried_again_later(
    training, settings, clock, later
):
    """Or once the clock is set back, which must make no pause longer."""
    runner, workers = PlainRunner(), FakeWorkers(1)
    trainings, monitor = training(runner, workers), watched("pumps", settings)
    trainings.look_after(monitor, enough=False)
    wait(lambda: "pumps" in workers.tasks)
    workers.tasks.pop("pumps").set_exception(WorkerError("it took 5000 MB, more than it may"))
    wait(lambda: runner.ended == [("pumps", Outcome.FAILED, "it took 5000 MB, more than it may")])
    time.sleep(0.2)
    trainings.look_after(monitor, enough=False)
    time.sleep(0.2)
    assert workers.tasks == {}, "not at once"
    clock.forward(later)
    trainings.look_after(monitor, enough=False)
    wait(lambda: "pumps" in workers.tasks)


def test_a_training_whose_time_is_up_is_killed(training, settings):
    runner, workers = PlainRunner(), FakeWorkers(1)
    short = settings.model_copy(update={"train_timeout": timedelta(milliseconds=200)})
    training(runner, workers).look_after(watched("pumps", short), enough=False)
    wait(lambda: runner.ended)
    assert runner.ended == [("pumps", Outcome.TIMED_OUT, "the training was not done after 0.2 s")]
    assert isinstance(workers.tasks["pumps"].exception(), WorkerError)


def test_a_training_of_a_monitor_that_went_to_another_daemon_is_killed(training, settings):
    runner, workers = PlainRunner(), FakeWorkers(1)
    trainings = training(runner, workers)
    trainings.look_after(watched("pumps", settings), enough=False)
    wait(lambda: "pumps" in workers.tasks)
    runner.stop.ask("the monitor is not watched here any more")
    trainings.forget("pumps")
    wait(lambda: runner.ended)
    reason = "the monitor is not watched here any more"
    assert runner.ended == [("pumps", Outcome.ABANDONED, reason)]


def test_its_workers_end_with_the_daemon(training, settings):
    runner, workers = PlainRunner(), FakeWorkers(1)
    trainings = training(runner, workers)
    trainings.look_after(watched("pumps", settings), enough=False)
    wait(lambda: "pumps" in workers.tasks)
    trainings.stop()
    assert workers.is_shut_down
    assert workers.tasks["pumps"].done()


def test_a_backlog_does_not_wait_for_ever_for_a_worker(training, settings, monkeypatch):
    trainings = training(SlowRunner(), FakeWorkers(1))
    for name in ("first", "second"):
        trainings.look_after(watched(name, settings, behind=True), enough=False)
    assert trainings.is_awaited("second")
    monkeypatch.setattr(module, "AWAITED_SECONDS", 0.0)
    assert not trainings.is_awaited("second")


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_step_of_a_backlog_waits_for_the_training_and_then_for_nothing(
    training, settings, fails
):
    workers, ticks = FakeWorkers(1), []
    trainings = training(PlainRunner(), workers)
    trainings._scheduler.every(timedelta(hours=1), "pumps", lambda: ticks.append(1))
    wait(lambda: ticks == [1])
    trainings.look_after(watched("pumps", settings, behind=True), enough=False)
    assert trainings.is_awaited("pumps")
    wait(lambda: "pumps" in workers.tasks)
    assert ticks == [1]
    if fails:
        workers.tasks["pumps"].set_exception(WorkerError("it was killed"))
    else:
        workers.tasks["pumps"].set_result(TRAINED)
    wait(lambda: ticks == [1, 1])
    assert not trainings.is_awaited("pumps")
