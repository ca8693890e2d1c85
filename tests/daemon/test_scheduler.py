"""The scheduler: no tick vanishes, nothing overlaps, late ones are told."""

import threading
import time
from datetime import timedelta

import pytest

from aemon.clock import utc_now
from aemon.daemon.scheduler import SCORING_AT_ONCE, Scheduler, Timing
from aemon.records import Job, Outcome


@pytest.fixture
def told():
    return []


@pytest.fixture
def scheduler(told):
    scheduler = Scheduler(lambda *what: told.append(what), 1, utc_now)
    yield scheduler
    scheduler.stop()


def wait(done, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_monitor_ticks_at_once_and_then_at_every_interval(scheduler):
    ticks = []
    scheduler.every(timedelta(milliseconds=100), "pumps", lambda: ticks.append(time.monotonic()))
    began = time.monotonic()
    scheduler.start(lambda: None)
    wait(lambda: len(ticks) >= 3)
    assert ticks[0] - began < 0.5


def test_a_run_that_takes_longer_than_its_interval_is_not_overlapped(scheduler, told):
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.3)
        running.pop()

    scheduler.every(timedelta(milliseconds=50), "pumps", work)
    scheduler.start(lambda: None)
    wait(lambda: len(most) >= 3)
    assert max(most) == 1
    assert ("pumps", Job.SCORE, Outcome.SKIPPED, "the previous run has not ended") in told


def test_a_tick_a_busy_pool_delays_still_runs(scheduler):
    """APScheduler's default grace of one second would drop it without a word."""
    release, ran = threading.Event(), []
    for number in range(SCORING_AT_ONCE):
        scheduler.every(timedelta(hours=1), f"busy{number}", lambda: release.wait(10))
    scheduler.every(timedelta(hours=1), "late", lambda: ran.append(1))
    scheduler.start(lambda: None)
    time.sleep(1.5)
    assert not ran
    release.set()
    wait(lambda: ran == [1])


def test_a_tick_older_than_its_interval_is_told_as_misfired(scheduler, told):
    release = threading.Event()
    for number in range(SCORING_AT_ONCE):
        scheduler.every(timedelta(hours=1), f"busy{number}", lambda: release.wait(10))
    scheduler.every(timedelta(seconds=1), "late", lambda: None)
    scheduler.start(lambda: None)
    time.sleep(2.5)
    release.set()
    wait(lambda: any(what[:3] == ("late", Job.SCORE, Outcome.MISFIRED) for what in told))


def test_training_is_done_once_and_beside_scoring(scheduler):
    trained, scored = threading.Event(), []
    scheduler.every(timedelta(milliseconds=50), "pumps", lambda: scored.append(1))
    scheduler.start(lambda: None)
    scheduler.once("pumps", lambda: (time.sleep(0.5), trained.set()))
    count = len(scored)
    assert trained.wait(5)
    assert len(scored) > count + 3


def test_old_results_are_removed_a_while_after_the_start_and_again(scheduler, monkeypatch):
    monkeypatch.setattr("aemon.daemon.scheduler.FIRST_PRUNE", timedelta(milliseconds=400))
    ticks = []
    began = time.monotonic()
    scheduler.prune(timedelta(milliseconds=100), lambda: ticks.append(time.monotonic()))
    scheduler.start(lambda: None)
    wait(lambda: len(ticks) >= 3)
    assert ticks[0] - began > 0.3


def test_a_removal_that_takes_longer_than_its_interval_is_nobodys_missed_tick(scheduler, told):
    """Whose would it be? The next round finds what this one has left."""
    monitor_ticks, ongoing = [], []
    scheduler.prune(timedelta(milliseconds=50), lambda: (ongoing.append(1), time.sleep(0.5)))
    scheduler.every(timedelta(milliseconds=50), "pumps", lambda: monitor_ticks.append(1))
    scheduler.start(lambda: None)
    scheduler.start_over()
    wait(lambda: len(monitor_ticks) > 5)
    assert ongoing
    assert not [what for what in told if what[1] is Job.PRUNE]


def test_the_heartbeat_comes_at_once(scheduler):
    beats = []
    scheduler.start(lambda: beats.append(1))
    assert beats == [1]


def test_when_the_clock_was_set_every_job_ticks_at_once(scheduler):
    ticks = []
    scheduler.every(timedelta(hours=1), "pumps", lambda: ticks.append(1))
    scheduler.start(lambda: None)
    wait(lambda: len(ticks) == 1)
    scheduler.start_over()
    wait(lambda: len(ticks) == 2)


def test_when_the_clock_was_set_a_job_dropped_meanwhile_is_left_out(scheduler, monkeypatch):
    scheduler.every(timedelta(hours=1), "pumps", lambda: None)
    scheduler.every(timedelta(hours=1), "gone", lambda: None)
    scheduler.start(lambda: None)
    jobs = scheduler._scheduler.get_jobs()
    monkeypatch.setattr(scheduler._scheduler, "get_jobs", lambda: jobs)
    scheduler.drop("gone")
    scheduler.start_over()


def test_a_listener_that_hangs_takes_no_ticks_with_it(told):
    """The store may hang: the ledger waits for it, the scheduler does not."""
    release, ticks = threading.Event(), []
    scheduler = Scheduler(lambda *_: release.wait(10), 1, utc_now)
    scheduler.every(timedelta(milliseconds=50), "slow", lambda: time.sleep(0.5))
    scheduler.every(timedelta(milliseconds=50), "quick", lambda: ticks.append(1))
    scheduler.start(lambda: None)
    time.sleep(0.4)
    count = len(ticks)
    wait(lambda: len(ticks) > count + 5)
    began = time.monotonic()
    scheduler.stop()
    assert time.monotonic() - began < 2
    release.set()


def test_a_schedule_that_fails_takes_no_other_monitors_ticks(scheduler):
    ticks = []
    scheduler.start(lambda: None)
    far = Timing(jitter=timedelta(days=999_999_999))
    scheduler.every(timedelta(milliseconds=20), "bad", lambda: None, far)
    scheduler.every(timedelta(milliseconds=50), "good", lambda: ticks.append(1))
    wait(lambda: len(ticks) > 3)
    assert scheduler.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scheduler_whose_thread_died_says_so(scheduler, monkeypatch):
    def dies():
        raise SystemExit

    scheduler.start(lambda: None)
    assert scheduler.alive
    monkeypatch.setattr(scheduler._scheduler, "_process_jobs", dies)
    scheduler._scheduler.wakeup()
    wait(lambda: not scheduler.alive)


def test_a_listener_that_fails_hears_of_later_ticks():
    told, release = [], threading.Event()

    def missed(*what):
        told.append(what)
        raise RuntimeError("can't start new thread")

    scheduler = Scheduler(missed, 1, utc_now)
    scheduler.start(lambda: None)
    scheduler.every(timedelta(milliseconds=50), "pumps", lambda: release.wait(5))
    wait(lambda: len(told) > 1)
    release.set()
    scheduler.stop()


@pytest.mark.parametrize("what", [Job.TRAIN.value, Job.PRUNE.value])
def test_a_job_for_which_there_is_no_thread_is_done_once_there_is(scheduler, monkeypatch, what):
    """A plain pool would keep it for ever, and a monitor would never ask for a training again."""
    start, refused, done = threading.Thread.start, [], threading.Event()

    def no_thread(thread):
        if thread.name == what and len(refused) < 2:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr("aemon.daemon.slots.THREADS_TRIED_SECONDS", 0.01)
    monkeypatch.setattr("aemon.daemon.scheduler.FIRST_PRUNE", timedelta(0))
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    scheduler.start(lambda: None)
    if what == Job.TRAIN:
        scheduler.once("pumps", done.set)
    else:
        scheduler.prune(timedelta(hours=1), done.set)
    assert done.wait(5)
    assert len(refused) == 2


def test_without_threads_the_heartbeat_stops(scheduler, monkeypatch):
    start, beats = threading.Thread.start, []
    scheduler.start(lambda: beats.append(1))

    def no_thread(thread):
        if thread.name == "heartbeat":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    scheduler.start_over()
    wait(lambda: scheduler.short_seconds() > 0)
    assert beats == [1]
    assert scheduler.alive
