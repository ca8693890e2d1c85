"""A sampler asks for a value at a steady pace, whatever goes wrong."""

import threading
import time
from datetime import timedelta
from itertools import count

import pytest

from aemon.sources.sampling import Sampler


@pytest.fixture
def sampler():
    """Counts, in a thread that has taken one sample and then rests for a day."""
    numbers = count()
    sampler = Sampler("a counter", lambda: next(numbers), pause=timedelta(days=1), most=3)
    yield sampler
    sampler.close()


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_nothing_starts_before_samples_are_asked_for(sampler):
    assert not [one for one in threading.enumerate() if one.name == "sampler:a counter"]
    sampler.take(1)
    (thread,) = [one for one in threading.enumerate() if one.name == "sampler:a counter"]
    assert thread.daemon


def test_samples_are_taken_at_the_pace_that_was_asked_for():
    numbers = count()
    sampler = Sampler("fast", lambda: next(numbers), pause=timedelta(milliseconds=2), most=100)
    taken = []
    deadline = time.monotonic() + 10
    while len(taken) < 5 and time.monotonic() < deadline:
        taken += sampler.take(10).items
        time.sleep(0.005)
    sampler.close()
    assert taken == list(range(len(taken)))
    assert len(taken) >= 5


def test_what_is_not_there_yet_is_no_sample():
    sampler = Sampler("rates", lambda: None, pause=timedelta(days=1), most=3)
    sampler.take_sample()
    assert sampler.take(5).items == []
    sampler.close()


def test_samples_that_nobody_takes_are_counted_as_lost(sampler):
    sampler.close()
    for _ in range(5):
        sampler.take_sample()
    piece = sampler.take(10)
    assert piece.items == [2, 3, 4]
    assert piece.lost == 2


def test_a_closed_sampler_hands_over_what_it_has_and_takes_no_more(sampler):
    sampler.take_sample()
    sampler.close()
    assert sampler.take(5).items == [0]
    assert not [one for one in threading.enumerate() if one.name == "sampler:a counter"]


def test_a_sample_that_fails_does_not_end_the_thread(caplog):
    failures = iter([OSError("no /proc"), ValueError("odd")])

    def sample():
        for failure in failures:
            raise failure
        return 1

    sampler = Sampler("this host", sample, pause=timedelta(milliseconds=1), most=3)
    taken = []
    wait_for(lambda: taken.extend(sampler.take(3).items) or taken)
    sampler.close()
    assert caplog.text.count("this host could not be sampled") == 2
