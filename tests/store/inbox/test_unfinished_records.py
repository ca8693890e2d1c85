"""Records that are joined from their parts."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.store.inbox.kept_records import Beside, history_records, keep_history
from aemon.store.schema.tables import unfinished_records
from tests.streams import T0


@pytest.fixture
def keep(store):
    def keep(parts, finish_before=T0 - timedelta(days=9_000)):
        rows = [
            {"entity": entity, "record_key": key, "event_time": T0, "record": record}
            for entity, key, record in parts
        ]
        return keep_history(store, "pumps", rows, None, Beside(finish_before=finish_before))

    return keep


def records(store):
    kept = history_records(store, "pumps", limit=100)
    return [(row["entity"], row["record_key"], row["record"]) for row in kept]


def test_parts_are_joined_and_the_later_value_counts(keep, store, clock):
    assert keep([("a", "1", {"x": 1}), ("b", "1", {"x": 7}), ("a", "1", {"y": 2})]).new == 0
    assert keep([("a", "1", {"x": 3, "y": None}), ("a", "2", {"z": 4})]).new == 0
    assert records(store) == []
    # Those are finished whose first part came before
    clock.now += timedelta(seconds=5)
    keep([("a", "3", {"x": 5})])
    assert keep([], finish_before=clock.now).new == 3
    assert records(store) == [
        ("a", "1", {"x": 3, "y": 2}), ("a", "2", {"z": 4}), ("b", "1", {"x": 7}),
    ]  # fmt: skip
    with store.reading() as connection:
        left = connection.execute(sa.select(unfinished_records.c.record_key)).scalars().all()
    assert left == ["3"]


def test_a_part_that_comes_after_its_record_is_finished_is_put_to_the_rejected(keep, store, clock):
    keep([("a", "1", {"x": 1, "y": 2})])
    clock.now += timedelta(seconds=5)
    keep([], finish_before=clock.now)
    keep([("a", "1", {"x": 9})])
    clock.now += timedelta(seconds=5)
    assert keep([], finish_before=clock.now).rejected == {"changed_record": 1}
    assert records(store) == [("a", "1", {"x": 1, "y": 2})]


def test_many_records_are_joined(keep, store, clock):
    for name in ("x", "y"):
        keep([("", f"{number:05}", {name: number}) for number in range(1200)])
    clock.now += timedelta(seconds=5)
    assert keep([], finish_before=clock.now).new == 1200
