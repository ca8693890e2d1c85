"""A monitor that fails at every tick tells it once an hour."""

import logging

import pytest
from prometheus_client import CollectorRegistry

from aemon.daemon.repeated_failures import AGAIN_AFTER_SECONDS, RepeatedFailures
from aemon.daemon.runner import Runner
from aemon.errors import SourceError
from aemon.metrics.metrics import Metrics
from aemon.records import Job, Outcome
from tests.daemon.test_runner import SOON, failing, ledger

FAILED = (Job.SCORE, Outcome.FAILED)


class Seconds:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_failure_is_told_once_an_hour_with_how_many_there_were():
    steady = Seconds()
    failures = RepeatedFailures(steady)
    told = []
    for tick in range(500):
        steady.now = 60.0 * tick
        told.append(failures.times("pumps", *FAILED, f"no answer after {tick} s"))
    assert [times for times in told if times] == [1, *[60] * 8]
    assert AGAIN_AFTER_SECONDS == 3600


def test_another_reason_monitor_or_job_is_news_and_so_is_one_after_a_good_end():
    failures = RepeatedFailures(Seconds())
    assert [failures.times("pumps", *FAILED, why) for why in "aabaa"] == [1, 0, 1, 1, 0]
    assert failures.times("ovens", *FAILED, "a") == 1
    assert failures.times("pumps", Job.TRAIN, Outcome.FAILED, "a") == 1
    assert failures.times("pumps", Job.SCORE, Outcome.TIMED_OUT, "a") == 1
    failures.ended_well("pumps", Job.SCORE)
    assert failures.times("pumps", Job.SCORE, Outcome.TIMED_OUT, "a") == 1


@pytest.fixture
def runner(store, clock):
    return Runner(store, Metrics(CollectorRegistry()), clock)


def test_the_log_tells_one_of_a_hundred_and_the_ledger_all(runner, store, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(100):
        runner.run("pumps", Job.SCORE, failing(SourceError("gone")), SOON)
        runner.run("pumps", Job.TRAIN, failing(ZeroDivisionError("by zero")), SOON)
    actions = [getattr(one, "action", "") for one in caplog.records]
    assert actions == ["score.failed", "run.crashed", "train.failed"]
    assert len(ledger(store)) == 200
