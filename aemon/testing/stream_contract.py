"""The contract of streams as a test suite: promises that every stream must keep."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aemon.frame import check_frame
from aemon.sources.source import Arrived, Stream
from aemon.testing.source_worlds import StreamWorld


def keys_of(arrived: Arrived, stream: Stream) -> list[str]:
    """Return the keys of records in order of arrival."""
    return [str(key) for key in arrived.table[stream.roles.key]]


def taken_in_steps(stream: Stream, limit: int) -> Iterator[list[str]]:
    """Yield the keys of the records of each `take`, until there are no more records."""
    while True:
        arrived = stream.take(limit)
        yield keys_of(arrived, stream)
        if not arrived.more:
            return


def kept(world: StreamWorld, records: int, *, acknowledge: bool = True) -> list[str]:
    """Take a number of records as an inbox does; return the notes that an inbox would store."""
    arrived = world.stream.take(records)
    assert len(arrived.table) == records
    if arrived.done is not None and acknowledge:
        arrived.done()
    return [arrived.note] if arrived.note is not None else []


class StreamContract:
    """The suite for a kind of stream.

    One line in a test module runs the suite:

        class TestModbus(StreamContract): make_world = ModbusWorld

    `make_world` is called with an empty folder and returns a `StreamWorld`.
    """

    def make_world(self, folder: Path) -> StreamWorld:
        """Return a new world in which nothing has arrived."""
        raise NotImplementedError

    @pytest.fixture
    def threads_before(self) -> set[threading.Thread]:
        """Return the threads that run before the world is made."""
        return set(threading.enumerate())

    @pytest.fixture
    def world(self, threads_before: set[threading.Thread], tmp_path: Path) -> Iterator[StreamWorld]:
        """Yield a world in which nothing has arrived, and close it."""
        world = self.make_world(tmp_path)
        yield world
        world.close()

    @pytest.mark.parametrize("limit", [1, 3, 10, 1000])
    def test_every_record_is_handed_over_once_in_order_of_arrival(
        self, world: StreamWorld, limit: int
    ) -> None:
        keys = world.add(list(range(10)))
        assert [key for piece in taken_in_steps(world.stream, limit) for key in piece] == keys
        assert keys_of(world.stream.take(limit), world.stream) == []

    def test_no_piece_is_larger_than_its_limit(self, world: StreamWorld) -> None:
        world.add(list(range(10)))
        assert all(len(keys) <= 3 for keys in taken_in_steps(world.stream, 3))

    def test_more_is_true_only_when_there_is_more(self, world: StreamWorld) -> None:
        world.add([1, 2, 3])
        assert world.stream.take(2).more
        assert not world.stream.take(1).more
        assert not world.stream.take(1).more

    def test_records_that_arrive_between_two_calls_are_handed_over_next(
        self, world: StreamWorld
    ) -> None:
        world.add([1, 2])
        world.stream.take(10)
        later = world.add([2, 3])
        assert keys_of(world.stream.take(10), world.stream) == later

    def test_where_nothing_has_arrived_there_is_an_empty_table_with_the_roles_columns(
        self, world: StreamWorld
    ) -> None:
        arrived = world.stream.take(10)
        assert len(arrived.table) == 0
        assert not arrived.more
        assert arrived.lost == 0
        assert len(check_frame(arrived.table, world.stream.roles)) == 0

    def test_what_is_handed_over_passes_the_frame(self, world: StreamWorld) -> None:
        keys = world.add([1, 2, 3])
        frame = check_frame(world.stream.take(10).table, world.stream.roles)
        assert frame.keys.tolist() == keys
        assert frame.rejected == {}
        assert frame.values.shape[1] >= 1

    def test_what_arrived_before_the_end_is_handed_over_after_it(self, world: StreamWorld) -> None:
        keys = world.add([1, 2, 3])
        world.stream.close()
        assert keys_of(world.stream.take(10), world.stream) == keys
        assert keys_of(world.stream.take(10), world.stream) == []

    def test_the_end_ends_all_threads_and_may_come_twice(
        self, threads_before: set[threading.Thread], world: StreamWorld
    ) -> None:
        world.add([1])
        started = set(threading.enumerate()) - threads_before
        assert all(thread.daemon and not thread.name.startswith("Thread-") for thread in started)
        world.stream.close()
        world.stream.close()
        assert not [thread for thread in started if thread.is_alive()]

    def test_what_is_done_does_not_come_again(self, world: StreamWorld) -> None:
        keys = world.add([1, 2, 3])
        notes = kept(world, 2)
        if world.keeps:
            world.crash(notes, acknowledged=2)
        assert keys_of(world.stream.take(10), world.stream) == keys[2:]

    def test_what_was_not_kept_comes_again_after_a_crash(self, world: StreamWorld) -> None:
        keys = world.add([1, 2, 3])
        taken = keys_of(world.stream.take(2), world.stream)
        assert taken == keys[:2]
        if world.keeps:
            world.crash([], acknowledged=0)
            assert keys_of(world.stream.take(10), world.stream) == keys

    def test_what_was_kept_and_not_acknowledged_before_a_crash_is_known(
        self, world: StreamWorld
    ) -> None:
        keys = world.add([1, 1, 2])
        notes = kept(world, 2, acknowledge=False)
        if world.keeps:
            world.crash(notes, acknowledged=0)
            assert keys_of(world.stream.take(10), world.stream) == keys[2:]

    def test_a_stream_describes_itself_without_secrets(self, world: StreamWorld) -> None:
        assert world.stream.describe()
        assert world.secret not in world.stream.describe()
