"""Readings of a stream, one message each, and the records that closed buckets make of them."""

import json
import math
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.reading import open_buckets as module
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.monitor_source import open_records
from aemon.reading.open_buckets import OpenBuckets
from aemon.reading.pushed_records import PushDesk
from aemon.sources.push.batches import read_json_lines
from aemon.store.inbox.rejected_records import newest_rejected
from aemon.store.schema.tables import unfinished_records
from tests.streams import T0, Said

BUCKET = {"every": "1m", "wait": "10s"}
PIVOT = {"name": "tag", "value": "value"}


class Plant:
    """A stream of readings, its inbox and a clock; `crash` leaves the store alone."""

    def __init__(self, store, clock, **settings):
        self.store, self.clock = store, clock
        clock.now = T0
        source = {"kind": "push", **settings}
        document = {"source": source, "score_every": "1m"}
        self.settings = MonitorSettings.model_validate(document)
        self.rejected = {}
        self.crash()

    def crash(self, settings=None):
        """Forget everything in memory, as kill -9 does, and connect again."""
        self.stream = Said()
        self.connected = True
        self.buckets = OpenBuckets(settings or self.settings.source, self.store, "pumps")
        self.inbox = Inbox(lambda: self.stream, self.store, "pumps", 1000, self.buckets)
        self.inbox.write_arrived()

    def say(self, tag, second, value, entity="p1", **more):
        time = T0 + timedelta(seconds=second)
        row = {"tag": tag, "value": value, **more}
        self.stream.say(f"{second}", entity, time, **row)

    def at(self, second):
        """Let the clock be so many seconds after the beginning, and the inbox write; the records."""
        self.clock.now = T0 + timedelta(seconds=second)
        self.inbox.write_arrived()
        for reason, count in self.inbox.take_rejected().items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count
        return self.records()

    def records(self):
        table = InboxRecords(self.store, "pumps").fetch(None, 1000).table
        seconds = [(time - T0).total_seconds() for time in table["event_time"]]
        tags = [name for name in table if name not in ("event_time", "record_key", "entity")]
        return [
            (int(second), row.entity, {tag: getattr(row, tag) for tag in sorted(tags)})
            for second, row in zip(seconds, table.itertuples(), strict=True)
        ]

    def stored(self):
        with self.store.reading() as connection:
            return connection.execute(
                sa.select(sa.func.count()).select_from(unfinished_records)
            ).scalar_one()


@pytest.fixture
def made(store, clock):
    return partial(Plant, store, clock)


@pytest.fixture
def plant(made):
    return made(pivot=PIVOT, bucket=BUCKET)


def test_a_bucket_is_a_record_once_it_is_over_and_never_before(plant):
    for second in (0, 20, 40):
        plant.say("flow", second, second)
    plant.say("pressure", 30, 2.5)
    assert plant.at(45) == []
    assert plant.at(69) == []
    assert plant.at(71) == [(0, "p1", {"flow": 20.0, "pressure": 2.5})]
    assert plant.stored() == 0


def test_open_readings_survive_a_crash_and_are_counted_once(plant):
    plant.say("flow", 0, 1)
    plant.at(30)
    plant.crash()
    plant.say("flow", 50, 3)
    plant.say("flow", 0, 1)  # the broker delivers the message again
    plant.at(55)
    assert plant.at(80) == [(0, "p1", {"flow": 2.0})]
    plant.crash()
    assert plant.at(200) == [(0, "p1", {"flow": 2.0})]
    assert plant.rejected == {"duplicate_key": 1}


def test_a_bucket_that_was_open_at_a_crash_waits_for_what_the_broker_kept(plant):
    plant.say("flow", 0, 1)
    plant.at(30)
    plant.clock.now = T0 + timedelta(seconds=1000)
    plant.crash()
    assert plant.at(1005) == []  # connected for 5 of 10 s
    plant.say("flow", 40, 3)
    assert plant.at(1009) == []
    assert plant.at(1012) == []  # a reading of the bucket arrived 3 s ago
    assert plant.at(1020) == [(0, "p1", {"flow": 2.0})]


def test_entities_close_on_their_own_and_each_in_order_of_time(plant):
    plant.say("flow", 0, 1, entity="p1")
    plant.say("flow", 70, 5, entity="p1")
    plant.at(75)
    assert len(plant.at(131)) == 2
    for second in range(131, 150, 5):  # a pump whose clock is two minutes late
        plant.say("flow", second - 120, second, entity="p2")
        plant.at(second)
    assert [record[:2] for record in plant.at(150)] == [(0, "p1"), (60, "p1")]
    assert [record[:2] for record in plant.at(170)] == [(0, "p1"), (60, "p1"), (0, "p2")]


def test_a_reading_that_comes_after_the_record_is_set_aside(plant):
    plant.say("flow", 0, 1)
    plant.at(5)
    plant.at(75)
    plant.say("flow", 10, 9)
    plant.say("flow", 80, 2)
    plant.at(85)
    assert plant.at(140) == [(0, "p1", {"flow": 1.0}), (60, "p1", {"flow": 2.0})]
    assert plant.rejected == {"too_late": 1}
    (late,) = newest_rejected(plant.store, ["pumps"], 5)
    assert json.loads(late.record)["record"] == {"tag": "flow", "value": 9}


def test_bad_rows_are_set_aside_with_their_reason_and_the_others_go_on(plant):
    plant.say("flow", 0, 1)
    plant.say(None, 1, 1)
    plant.say("", 1.5, 1)
    plant.say("flow", 9000, 1)
    plant.say("flow", 0, 7)  # another value with the same time
    plant.at(5)
    assert plant.at(75) == [(0, "p1", {"flow": 1.0})]
    assert plant.rejected == {"no_tag": 2, "time_ahead": 1, "changed_record": 1}


@pytest.mark.parametrize("value", [10**400, -(2**70), "\ud800", "\x00", "nan", "x" * 9000, True])
def test_no_value_keeps_other_readings_from_their_records(made, value):
    plant = made(pivot=PIVOT, bucket=BUCKET, quality={"column": "q"})
    plant.say("odd", 0, value, q=192)
    plant.say("odd", 1, 1, q=value)
    plant.say("flow", 2, 1, q=192)
    plant.say("flow", 3, [1, 2], q=192)
    plant.say("flow", 4, 1, q={"a": 1})
    plant.at(5)
    (record,) = plant.at(75)
    assert record[2]["flow"] == 1.0
    assert plant.rejected == {"not_plain": 2}


def test_readings_without_a_tag_in_any_message_stop_nothing(plant):
    plant.stream.say("k", "p1", T0, name="flow", value=1)
    plant.at(5)
    assert plant.at(75) == []
    assert plant.rejected == {"no_tag": 1}


def test_qualities_gaps_and_increases_are_as_for_tables(made):
    plant = made(
        pivot=PIVOT,
        bucket={**BUCKET, "aggregate": {"pulses": "increase", "state": "last"}},
        quality={"column": "q"},
        gaps={"state": {"hold": "2m"}},
    )
    for minute, count in enumerate((10, 25, 3, 4)):  # the counter restarts at 0
        plant.say("pulses", 60 * minute + 5, count, q=192)
    plant.say("state", 6, "on", q=192)
    plant.say("flow", 7, 1.0, q=192)
    plant.say("flow", 8, 50.0, q=0)
    plant.at(200)
    found = plant.at(215)
    plant.crash()  # the last readings are in the store
    plant.say("pulses", 4 * 60 + 5, 9, q=192)
    plant.at(290)
    found = plant.at(320)
    assert [record[0] for record in found] == [0, 60, 120, 180, 240]
    pulses = [record[2]["pulses"] for record in found]
    assert [None if math.isnan(one) else one for one in pulses] == [None, 15, 3, 1, 5]
    assert [record[2]["state"] for record in found][:3] == ["on", "on", "on"]
    assert [record[2]["state"] == "on" for record in found][3:] == [False, False]
    assert found[0][2]["flow"] == 1.0


def test_messages_with_several_columns_make_one_record_of_a_bucket(made):
    plant = made(bucket={**BUCKET, "aggregate": {"flow": "max"}})
    plant.stream.say("a", "p1", T0, flow=1)
    plant.stream.say("a", "p1", T0, pressure=5)  # another topic at the same time
    plant.stream.say("b", "p1", T0 + timedelta(seconds=3), flow=4, pressure=7)
    plant.at(10)
    assert plant.at(75) == [(0, "p1", {"flow": 4.0, "pressure": 6.0})]


def test_pivot_alone_joins_readings_of_equal_times(made):
    plant = made(pivot={**PIVOT, "wait": "5s"})
    plant.say("flow", 0, 1)
    plant.say("pressure", 0, 2)
    plant.say("flow", 3, 4)
    assert plant.at(4) == []
    found = plant.at(10)
    assert [record[0] for record in found] == [0, 3]
    assert found[0][2] == {"flow": 1.0, "pressure": 2.0}


def test_another_length_of_buckets_applies_to_open_readings(plant):
    plant.say("flow", 10, 1)
    plant.say("flow", 70, 3)
    plant.at(65)
    changed = {"kind": "push", "pivot": PIVOT, "bucket": {"every": "2m", "wait": "10s"}}
    document = {"source": changed, "score_every": "1m"}
    plant.crash(MonitorSettings.model_validate(document).source)
    assert plant.at(100) == []
    assert plant.at(131) == [(0, "p1", {"flow": 2.0})]


def test_many_readings_close_in_parts_and_memory_has_a_bound(plant, monkeypatch):
    monkeypatch.setattr(module, "READINGS_AT_ONCE", 7)
    monkeypatch.setattr(module, "CLOSED_AT_ONCE", 40)
    for second in range(0, 600, 2):
        plant.say("flow", second, second, entity=f"p{second % 3}")
    plant.at(650)
    found = plant.at(700)
    assert len(found) == 30
    assert sum(record[2]["flow"] for record in found) == pytest.approx(10 * 3 * 299, rel=0.01)
    assert plant.stored() == 0


def test_beyond_the_bound_readings_are_rejected_loudly_until_a_bucket_closes(plant, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 5)
    for second in range(8):
        plant.say("flow", second, second)
    plant.at(10)
    assert plant.rejected == {"too_many_readings": 3}
    plant.at(75)
    plant.say("flow", 76, 1)
    plant.at(77)
    assert plant.at(140)[-1] == (60, "p1", {"flow": 1.0})


def test_texts_where_numbers_are_needed_are_reported(made):
    plant = made(pivot=PIVOT, bucket={**BUCKET, "aggregate": "mean"})
    plant.say("flow", 0, "12,5")
    plant.say("pressure", 0, 1)
    plant.at(5)
    plant.at(75)
    assert plant.rejected == {"not_a_number": 1}


def test_pushed_readings_of_equal_times_make_one_record(plant):
    desk = PushDesk(plant.store, lambda: {"pumps": plant.settings}, plant.clock)
    lines = [
        {"time": (T0 + timedelta(seconds=second)).isoformat(), "tag": tag, "value": second}
        for second in (0, 30)
        for tag in ("flow", "pressure")
    ]
    body = "\n".join(map(json.dumps, lines))
    assert desk.accept("pumps", read_json_lines(body), None).accepted == 4
    again = desk.accept("pumps", read_json_lines(body), None)
    assert (again.accepted, again.duplicates, dict(again.rejected)) == (0, 4, {})
    assert plant.at(75) == [(0, "", {"flow": 15.0, "pressure": 15.0})]
    late = desk.accept("pumps", read_json_lines(body), None)
    assert dict(late.rejected) == {"too_late": 4}


def test_cells_of_bad_quality_are_missing_in_records_of_a_stream(made):
    plant = made(quality={"flow": {"column": "flow_q", "good": [192]}})
    inbox = Inbox(lambda: plant.stream, plant.store, "pumps", 1000)
    for number, quality in enumerate((192, 0, None)):
        plant.stream.say(f"k{number}", "", T0, flow=number, flow_q=quality, pressure=5)
    inbox.write_arrived()
    records = open_records("pumps", plant.settings, plant.store, plant.clock)
    table = records.fetch(None, 10).table
    assert table["flow"].isna().tolist() == [False, True, True]
    assert "flow_q" not in table
