"""Many open pages cost no more than a few: requests of a short time share a status."""

import threading

from aemon.web.pages.shared_status import SharedStatus
from tests.web.statuses import status_page_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reading(clock, cost):
    """A status that takes `cost` seconds to read, and the times at which it was read."""
    times = []

    def read():
        times.append(clock.now)
        clock.now += cost
        return status_page_of()

    return SharedStatus(read, clock), times


def test_a_status_is_read_again_after_a_second():
    clock = Clock()
    status, times = reading(clock, 0.01)
    first = status()
    clock.now = 0.9
    assert status() is first
    clock.now = 1.1
    assert status() is not first
    assert times == [0.0, 1.1]


def test_a_status_that_costs_much_is_kept_longer():
    clock = Clock()
    status, times = reading(clock, 2.0)
    status()
    clock.now = 9.0
    status()
    clock.now = 10.1
    status()
    assert times == [0.0, 10.1]


def test_what_is_made_of_a_status_is_made_once():
    clock, made = Clock(), []
    status, _ = reading(clock, 0.01)

    def make():
        made.append(len(made))
        return made[-1]

    assert [status.made("page", make) for _ in range(5)] == [0, 0, 0, 0, 0]
    assert status.made("other", make) == 1
    clock.now = 5.0
    assert status.made("page", make) == 2


def test_threads_share_one_reading():
    clock = Clock()
    status, times = reading(clock, 0.01)
    threads = [threading.Thread(target=status) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
