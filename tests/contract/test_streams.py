"""What every stream promises, whatever it listens to."""

import threading

import pytest

from aemon.frame import check_frame
from tests.contract.worlds import STREAM_WORLDS, StreamWorld


@pytest.fixture(params=STREAM_WORLDS)
def world(request):
    before = set(threading.enumerate())
    world: StreamWorld = STREAM_WORLDS[request.param]()
    world.threads_before = before
    yield world
    world.close()


def keys_of(arrived, stream):
    return [str(key) for key in arrived.table[stream.roles.key]]


def taken_in_steps(stream, limit):
    """The keys of each piece, until there is no more."""
    while True:
        arrived = stream.take(limit)
        yield keys_of(arrived, stream)
        if not arrived.more:
            return


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_every_record_is_handed_over_once_in_order_of_arrival(world, limit):
    keys = world.add(list(range(10)))
    assert [key for piece in taken_in_steps(world.stream, limit) for key in piece] == keys
    assert keys_of(world.stream.take(limit), world.stream) == []


def test_no_piece_is_larger_than_its_limit(world):
    world.add(list(range(10)))
    assert all(len(keys) <= 3 for keys in taken_in_steps(world.stream, 3))


def test_more_is_said_only_when_there_is_more(world):
    world.add([1, 2, 3])
    assert world.stream.take(2).more
    assert not world.stream.take(1).more
    assert not world.stream.take(1).more


def test_records_that_arrive_between_two_calls_are_handed_over_next(world):
    world.add([1, 2])
    world.stream.take(10)
    later = world.add([2, 3])
    assert keys_of(world.stream.take(10), world.stream) == later


def test_where_nothing_has_arrived_there_is_an_empty_table_with_the_roles_columns(world):
    arrived = world.stream.take(10)
    assert len(arrived.table) == 0
    assert not arrived.more
    assert arrived.lost == 0
    assert len(check_frame(arrived.table, world.stream.roles)) == 0


def test_what_is_handed_over_passes_the_frame(world):
    keys = world.add([1, 2, 3])
    frame = check_frame(world.stream.take(10).table, world.stream.roles)
    assert frame.keys.tolist() == keys
    assert frame.rejected == {}
    assert frame.values.shape[1] >= 1


def test_what_arrived_before_the_end_is_handed_over_after_it(world):
    keys = world.add([1, 2, 3])
    world.stream.close()
    assert keys_of(world.stream.take(10), world.stream) == keys
    assert keys_of(world.stream.take(10), world.stream) == []


def test_the_end_ends_all_threads_and_may_come_twice(world):
    world.add([1])
    started = set(threading.enumerate()) - world.threads_before
    assert all(thread.daemon and not thread.name.startswith("Thread-") for thread in started)
    world.stream.close()
    world.stream.close()
    assert not [thread for thread in started if thread.is_alive()]


def test_a_stream_describes_itself_without_secrets(world):
    assert world.stream.describe()
    assert "hunter2" not in world.stream.describe()
