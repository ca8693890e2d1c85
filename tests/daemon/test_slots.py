"""Slots: bounded, in turn, and not held up by runs that hang."""

import math
import threading
import time

import pytest

from aemon.daemon.slots import Slots
from aemon.errors import ResourceError


@pytest.fixture
def release():
    release = threading.Event()
    yield release
    release.set()


def test_no_more_run_at_once_than_there_are_slots_and_in_the_order_they_came():
    slots, order, most, running = Slots(2, "test"), [], [], []
    lock = threading.Lock()

    def work(number):
        with lock:
            running.append(number)
            most.append(len(running))
            order.append(number)
        time.sleep(0.02)
        with lock:
            running.remove(number)
        return number

    futures = [slots.submit(work, number) for number in range(10)]
    assert [future.result(5) for future in futures] == list(range(10))
    assert max(most) == 2
    assert all(abs(place - number) <= 1 for place, number in enumerate(order))


def test_runs_that_hang_give_their_slots_to_others_after_a_while(release):
    slots = Slots(2, "test", patience_seconds=0.2)
    hanging = [slots.submit(release.wait, 30) for _ in range(2)]
    began = time.monotonic()
    quick = [slots.submit(int, number) for number in range(50)]
    assert [future.result(5) for future in quick] == list(range(50))
    assert 0.15 < time.monotonic() - began < 2
    deadline = time.monotonic() + 5
    while slots.busy() != (0, 2, 0):  # the last of them is on its way out
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not any(future.done() for future in hanging)


def test_a_run_that_fails_frees_its_slot():
    slots = Slots(1, "test")
    with pytest.raises(ZeroDivisionError):
        slots.submit(lambda: 1 // 0).result(5)
    assert slots.submit(int, 7).result(5) == 7


def test_what_waits_is_dropped_when_it_stops_and_nothing_is_taken_any_more(release):
    slots = Slots(1, "test")
    slots.submit(release.wait, 30)
    waiting = slots.submit(int, 1)
    slots.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="shut down"):
        slots.submit(int, 1)


def test_a_run_waits_while_the_machine_has_no_thread(monkeypatch):
    slots, start, refused = Slots(2, "test"), threading.Thread.start, []

    def no_thread(thread):
        if thread.name == "test" and len(refused) < 2:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr("aemon.daemon.slots.THREADS_TRIED_SECONDS", 0.01)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert [slots.submit(int, number).result(5) for number in "12"] == [1, 2]
    assert len(refused) == 2


def test_a_task_is_not_lost_while_something_unforeseen_keeps_threads_from_starting(monkeypatch):
    slots, start, refused = Slots(1, "test", math.inf), threading.Thread.start, []

    def fails(thread):
        if thread.name == "test" and not refused:
            refused.append(thread)
            raise OSError("nobody foresaw it")
        start(thread)

    monkeypatch.setattr("aemon.daemon.slots.THREADS_TRIED_SECONDS", 0.2)
    monkeypatch.setattr(threading.Thread, "start", fails)
    future = slots.submit(int, 7)
    deadline = time.monotonic() + 5
    while not slots.short_seconds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert future.result(5) == 7
    slots.busy()  # waits for the thread that started it
    assert slots.short_seconds() == 0
    assert slots.thread.is_alive()


def test_slots_for_which_there_is_no_thread_say_so(monkeypatch):
    def no_thread(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(ResourceError, match="no thread for test-slots"):
        Slots(1, "test")
