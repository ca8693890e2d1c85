"""Training workers: real processes, whose death is an answer too."""

import os
import signal
import threading
import time
from multiprocessing.context import ForkServerProcess

import psutil
import pytest

from aemon.daemon.local_workers import LocalWorkers
from aemon.errors import ResourceError, TrainingError, WorkerError


@pytest.fixture
def workers():
    workers = LocalWorkers(2)
    yield workers
    workers.shutdown(cancel_futures=True)


def raise_training_error() -> None:
    raise TrainingError("every column is constant", todo="wait for records that vary")


def raise_something() -> None:
    raise RuntimeError("oops")


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def threads_in_worker() -> str:
    return os.environ["OMP_NUM_THREADS"]


def test_work_is_done_in_another_process_with_one_thread(workers):
    assert workers.submit(os.getpid).result(30) != os.getpid()
    assert workers.submit(threads_in_worker).result(30) == "1"
    assert [future.result(30) for future in [workers.submit(abs, n) for n in (-1, -2)]] == [1, 2]


def test_an_aemon_error_arrives_whole(workers):
    with pytest.raises(TrainingError, match="constant") as raised:
        workers.submit(raise_training_error).result(30)
    assert raised.value.todo == "wait for records that vary"


def test_any_other_error_becomes_a_worker_error(workers):
    with pytest.raises(WorkerError, match="RuntimeError: oops"):
        workers.submit(raise_something).result(30)


def test_a_worker_killed_for_memory_is_a_failure_with_a_reason(workers):
    with pytest.raises(WorkerError, match="lack of memory"):
        workers.submit(die, signal.SIGKILL).result(30)


def take_memory(megabytes: int) -> None:
    taken = bytearray(1_000_000 * megabytes)
    taken[::1000] = b"x" * len(taken[::1000])  # touched, so that it is resident
    time.sleep(60)


def test_a_worker_over_its_memory_limit_is_killed_and_says_how_much_it_took(workers):
    with pytest.raises(WorkerError, match=r"took \d+ MB, more than the allowed 200 MB") as raised:
        workers.submit(take_memory, 400, memory=200_000_000).result(30)
    assert "life.train_memory" in raised.value.todo


def test_a_worker_within_its_memory_limit_answers(workers):
    assert workers.submit(abs, -3, memory=4_000_000_000).result(30) == 3


def test_it_says_how_many_tasks_it_works_on_at_once(workers):
    assert workers.capacity == 2


def test_a_worker_that_takes_too_long_can_be_killed(workers):
    future = workers.submit(time.sleep, 60)
    with pytest.raises(TimeoutError):
        future.result(0.5)
    began = time.monotonic()
    workers.kill(future)
    with pytest.raises(WorkerError, match="killed"):
        future.result(30)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), EOFError(), MemoryError()])
def test_a_machine_without_a_process_to_give_is_a_failed_training_and_the_end_is_clean(
    workers, monkeypatch, error
):
    def fails(_process):
        raise error

    before = psutil.Process().num_fds()
    with monkeypatch.context() as patch:
        patch.setattr(ForkServerProcess, "start", fails)
        with pytest.raises(ResourceError, match="a training worker cannot be started"):
            workers.submit(os.getpid)
    assert psutil.Process().num_fds() == before
    assert workers.submit(abs, -3).result(30) == 3
    workers.shutdown()


def test_a_worker_whose_answer_no_thread_can_await_is_ended(workers, monkeypatch):
    def no_thread(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ResourceError, match="no thread for await-worker"):
            workers.submit(time.sleep, 60)
    assert workers._processes == {}


def test_after_a_shutdown_nothing_starts():
    workers = LocalWorkers(2)
    future = workers.submit(time.sleep, 60)
    workers.shutdown(cancel_futures=True)
    with pytest.raises(WorkerError):
        future.result(30)
    with pytest.raises(RuntimeError):
        workers.submit(os.getpid)
