"""Training workers: real processes, whose death is an answer too."""

import os
import signal
import time

import pytest

from aemon.daemon.workers import WorkerExecutor
from aemon.errors import TrainingError, WorkerError


@pytest.fixture
def executor():
    executor = WorkerExecutor()
    yield executor
    executor.shutdown(cancel_futures=True)


def raise_training_error() -> None:
    raise TrainingError("every column is constant", todo="wait for records that vary")


def raise_something() -> None:
    raise RuntimeError("oops")


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def threads_in_worker() -> str:
    return os.environ["OMP_NUM_THREADS"]


def test_work_is_done_in_another_process_with_one_thread(executor):
    assert executor.submit(os.getpid).result(30) != os.getpid()
    assert executor.submit(threads_in_worker).result(30) == "1"
    assert sorted(executor.map(abs, [-1, -2])) == [1, 2]


def test_an_aemon_error_arrives_whole(executor):
    with pytest.raises(TrainingError, match="constant") as raised:
        executor.submit(raise_training_error).result(30)
    assert raised.value.todo == "wait for records that vary"


def test_any_other_error_becomes_a_worker_error(executor):
    with pytest.raises(WorkerError, match="RuntimeError: oops"):
        executor.submit(raise_something).result(30)


def test_a_worker_killed_for_memory_is_a_failure_with_a_reason(executor):
    with pytest.raises(WorkerError, match="out of memory"):
        executor.submit(die, signal.SIGKILL).result(30)


def test_a_worker_that_takes_too_long_can_be_killed(executor):
    future = executor.submit(time.sleep, 60)
    with pytest.raises(TimeoutError):
        future.result(0.5)
    began = time.monotonic()
    executor.kill(future)
    with pytest.raises(WorkerError, match="killed"):
        future.result(30)
    assert time.monotonic() - began < 5


def test_after_a_shutdown_nothing_starts():
    executor = WorkerExecutor()
    future = executor.submit(time.sleep, 60)
    executor.shutdown(cancel_futures=True)
    with pytest.raises(WorkerError):
        future.result(30)
    with pytest.raises(RuntimeError):
        executor.submit(os.getpid)
