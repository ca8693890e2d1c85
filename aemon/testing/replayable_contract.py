"""The contract of replayable sources as a test suite: promises that every kind must keep."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aemon.frame import check_frame
from aemon.records import Watermark
from aemon.testing.source_worlds import World, all_keys, keys_in_steps, moment


class ReplayableContract:
    """The suite for a kind of source.

    One line in a test module runs the suite:

        class TestModbus(ReplayableContract): make_world = ModbusWorld

    `make_world` is called with an empty folder and returns a `World`.
    """

    def make_world(self, folder: Path) -> World:
        """Return a new world without records."""
        raise NotImplementedError

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        """Yield a world without records, and close it."""
        world = self.make_world(tmp_path)
        yield world
        world.close()

    @pytest.mark.parametrize("limit", [1, 3, 7, 10, 1000])
    def test_a_moving_watermark_reads_every_record_exactly_once(
        self, world: World, limit: int
    ) -> None:
        keys = world.add(list(range(10)))
        read = all_keys(world.source, limit)
        assert sorted(read) == sorted(keys)

    def test_no_read_is_longer_than_its_limit(self, world: World) -> None:
        world.add(list(range(10)))
        assert all(len(keys) <= 3 for keys in keys_in_steps(world.source, 3))

    def test_more_is_true_only_when_there_is_more(self, world: World) -> None:
        world.add([1, 2, 3])
        assert world.source.fetch(None, 2).more
        assert not world.source.fetch(None, 3).more
        assert not world.source.fetch(None, 4).more

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_records_of_one_time_may_be_spread_over_reads(self, world: World, limit: int) -> None:
        keys = world.add([5] * 7)
        distinct = set(keys) if world.known_by_time else keys
        assert sorted(all_keys(world.source, limit)) == sorted(distinct)

    def test_the_same_watermark_reads_the_same_records(self, world: World) -> None:
        world.add(list(range(6)))
        first = world.source.fetch(None, 2)
        again = [world.source.fetch(first.watermark, 3).table for _ in range(2)]
        assert again[0].equals(again[1])

    def test_a_watermark_needs_nothing_but_its_three_fields(self, world: World) -> None:
        keys = world.add(list(range(6)))
        mark = world.source.fetch(None, 2).watermark
        assert mark is not None
        stored = Watermark(
            event_time=mark.event_time, record_key=mark.record_key, position=mark.position
        )
        assert len(all_keys(world.source, 2, stored)) == len(keys) - 2

    def test_records_that_arrive_between_two_reads_are_read_next(self, world: World) -> None:
        world.add([1, 2])
        mark = world.source.fetch(None, 10).watermark
        later = world.add([3, 4] if world.known_by_time else [2, 3])
        assert sorted(all_keys(world.source, 10, mark)) == sorted(later)

    def test_a_watermark_stays_where_it_is_when_nothing_is_new(self, world: World) -> None:
        world.add([1, 2])
        mark = world.source.fetch(None, 10).watermark
        fetched = world.source.fetch(mark, 10)
        assert len(fetched.table) == 0
        assert not fetched.more
        assert fetched.watermark == mark

    def test_a_watermark_has_the_last_records_time_in_utc(self, world: World) -> None:
        world.add([1, 2, 3])
        mark = world.source.fetch(None, 10).watermark
        assert mark is not None
        assert mark.event_time is not None
        assert abs((mark.event_time - moment(3)).total_seconds()) <= 1
        assert mark.event_time.utcoffset() == timedelta(0)

    def test_the_newest_records_are_the_last_read_oldest_first(self, world: World) -> None:
        world.add(list(range(8)))
        order = all_keys(world.source, 3)
        table = world.source.newest(None, 3).table
        assert [str(key) for key in table[world.source.roles.key]] == order[-3:]

    def test_the_newest_records_may_end_at_a_watermark(self, world: World) -> None:
        world.add(list(range(8)))
        order = all_keys(world.source, 100)
        mark = world.source.fetch(None, 5).watermark
        newest = world.source.newest(mark, 3)
        assert [str(key) for key in newest.table[world.source.roles.key]] == order[2:5]

    def test_reading_continues_after_the_newest_records(self, world: World) -> None:
        world.add(list(range(8)))
        mark = world.source.newest(None, 3).watermark
        assert all_keys(world.source, 10, mark) == []
        later = world.add([9, 10])
        assert sorted(all_keys(world.source, 10, mark)) == sorted(later)

    def test_records_are_counted_up_to_the_limit(self, world: World) -> None:
        world.add(list(range(8)))
        assert world.source.count(5) == 5
        assert world.source.count(100) == 8

    def test_an_empty_source_is_an_empty_table_with_the_roles_columns(self, world: World) -> None:
        fetched = world.source.fetch(None, 10)
        assert len(fetched.table) == 0
        assert fetched.watermark is None
        assert not fetched.more
        assert len(world.source.newest(None, 10).table) == 0
        assert world.source.count(10) == 0
        assert len(check_frame(fetched.table, world.source.roles)) == 0

    def test_what_is_read_passes_the_frame(self, world: World) -> None:
        keys = world.add([1, 2, 3])
        frame = check_frame(world.source.fetch(None, 10).table, world.source.roles)
        assert sorted(frame.keys) == sorted(keys)
        assert frame.rejected == {}
        assert frame.values.shape[1] >= 1

    def test_a_source_describes_itself_without_secrets(self, world: World) -> None:
        assert world.source.describe()
        assert world.secret not in world.source.describe()

    def test_a_source_may_be_closed_twice(self, world: World) -> None:
        world.source.fetch(None, 1)
        world.source.close()
        world.source.close()
