"""A stream that says each record once, and the inbox that remembers it in the store."""

import json
import threading
import time
from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from aemon.errors import FrameError, RefusedError, SourceConfigError, SourceError, StoreError
from aemon.frame import Roles, check_frame
from aemon.reading import inbox as inbox_module
from aemon.reading import inbox_writer
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.source import Arrived
from aemon.store.fences import Fence, fenced
from aemon.store.inbox.rejected_records import LONGEST_REJECTED, MOST_REJECTED
from aemon.store.schema.tables import leases, rejected_records
from tests.streams import T0, Said


class Forgetful:
    """A stream: what it has said once it cannot say again."""

    roles = Roles(time="time", key="key")

    def __init__(self) -> None:
        self.now = self.said = 0
        self.closed = False

    def resume(self, notes, wake):
        pass

    def take(self, limit):
        last = min(self.now, self.said + limit)
        rows = [
            {
                "time": T0 + timedelta(seconds=n),
                "key": f"k{n}",
                "load": n / 10,
                "odd": None if n % 2 else float("inf"),
            }
            for n in range(self.said, last)
        ]
        self.said = last
        table = pd.DataFrame(rows, columns=["time", "key", "load", "odd"])
        return Arrived(table=table, more=self.said < self.now)

    def describe(self):
        return "a forgetful source"

    def close(self):
        self.closed = True


@pytest.fixture
def live():
    return Forgetful()


@pytest.fixture
def inbox(live, store):
    return Inbox(lambda: live, store, "pumps", keep=50)


@pytest.fixture
def source(store):
    return InboxRecords(store, "pumps")


def test_what_was_written_can_be_read_again_and_again(inbox, source, live):
    live.now = 10
    assert inbox.write_arrived() == 10
    first = source.fetch(None, 4)
    rest = source.fetch(first.watermark, 100)
    assert first.more
    assert not rest.more
    assert [*first.table["load"], *rest.table["load"]] == [n / 10 for n in range(10)]
    assert source.fetch(None, 4).table["load"].tolist() == first.table["load"].tolist()
    assert source.fetch(rest.watermark, 5).table.empty
    assert rest.watermark.event_time == T0 + timedelta(seconds=9)


def test_a_record_is_written_once(inbox, source, live):
    live.now = 10
    inbox.write_arrived()
    live.now = 12
    assert inbox.write_arrived() == 2
    assert inbox.write_arrived() == 0
    assert source.count(100) == 12
    assert source.count(5) == 5


def test_only_the_newest_are_kept(inbox, source, live):
    live.now = 80
    inbox.write_arrived()
    assert source.count(100) == 50
    assert source.newest(None, 3).table["record_key"].tolist() == ["k77", "k78", "k79"]


def test_training_reads_what_is_kept_and_nothing_live(inbox, source, live):
    live.now = 20
    inbox.write_arrived()
    mark = source.fetch(None, 10).watermark
    live.now = 30
    assert source.newest(mark, 3).table["record_key"].tolist() == ["k7", "k8", "k9"]
    assert source.count(100) == 20
    source.close()
    assert not live.closed
    inbox.close()
    assert live.closed


def test_what_json_cannot_say_is_missing(inbox, source, live):
    live.now = 2
    inbox.write_arrived()
    assert source.fetch(None, 10).table["odd"].isna().all()


def test_records_that_wait_to_be_judged_are_never_dropped(inbox, source, live, store):
    live.now = 10
    inbox.write_arrived()
    mark = source.fetch(None, 5).watermark
    with store.writing() as connection:
        store.move(connection, "pumps", store.mark("pumps"), mark)
    live.now = 700
    inbox.write_arrived()
    rest = source.fetch(mark, 1000).table
    assert rest["record_key"].tolist() == [f"k{n}" for n in range(5, 700)]


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def inbox_of_said(said, store):
    inbox = Inbox(lambda: said, store, "pumps", keep=1000)
    yield inbox
    inbox.close()


def rejected_of(store):
    with store.reading() as connection:
        rows = connection.execute(sa.select(rejected_records).order_by(rejected_records.c.id))
        return [(row.reason, json.loads(row.record)) for row in rows]


def keys_of(source):
    return source.fetch(None, 10_000).table["record_key"].tolist()


def test_entities_may_use_the_same_key(inbox_of_said, said, source):
    said.say("1", "north", flow=1.0)
    said.say("1", "south", flow=2.0)
    assert inbox_of_said.write_arrived() == 2
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    assert frame.identities == [("north", "1"), ("south", "1")]
    assert frame.values["flow"].tolist() == [1.0, 2.0]
    assert frame.rejected == {}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_record_that_comes_again_is_counted_and_kept_once(
    inbox_of_said, said, source, store, at_once
):
    for _ in range(3):
        said.say("1", "north", flow=1e25, note=None, more=[1, {"a": 0.1}])
        if not at_once:
            inbox_of_said.write_arrived()
            said.say("other", "north")  # whose columns the next piece lacks
            inbox_of_said.write_arrived()
    inbox_of_said.write_arrived()
    assert keys_of(source).count("1") == 1
    assert inbox_of_said.take_rejected() == {"duplicate_key": 2 if at_once else 4}
    assert rejected_of(store) == []


@pytest.mark.parametrize("at_once", [True, False])
def test_a_record_that_comes_again_with_other_values_is_kept_among_the_rejected(
    inbox_of_said, said, source, store, at_once
):
    said.say("1", "north", flow=1.0)
    if not at_once:
        inbox_of_said.write_arrived()
    said.say("1", "north", flow=2.0)
    inbox_of_said.write_arrived()
    assert source.fetch(None, 10).table["flow"].tolist() == [1.0]
    assert inbox_of_said.take_rejected() == {"changed_record": 1}
    ((reason, record),) = rejected_of(store)
    assert reason == "changed_record"
    assert (record["entity"], record["record"]) == ("north", {"flow": 2.0})


def test_what_cannot_be_read_is_counted_once_and_there_to_be_looked_at(
    inbox_of_said, said, source, store, clock
):
    said.say("1", time="yesterday", flow="\x00")
    said.say(None, flow=float("inf"))
    said.say("2", time="9999-12-31", flow=3)
    said.say("3", flow=4)
    assert inbox_of_said.write_arrived() == 1
    assert keys_of(source) == ["3"]
    assert inbox_of_said.take_rejected() == {"no_time": 1, "time_out_of_range": 1, "no_key": 1}
    assert inbox_of_said.take_rejected() == {}
    there = dict(rejected_of(store))
    assert there["no_time"] == {"time": "yesterday", "key": "1", "entity": "", "flow": "␀"}
    assert there["no_key"]["flow"] is None
    assert there["time_out_of_range"]["time"] == "9999-12-31"
    with store.reading() as connection:
        received = connection.execute(sa.select(rejected_records.c.received_at)).scalars().all()
    assert received == [clock.now] * 3


def test_only_the_newest_rejected_records_are_kept_and_long_ones_are_cut(
    inbox_of_said, said, store
):
    for number in range(MOST_REJECTED + 5):
        said.say(None, number=number)
    inbox_of_said.write_arrived()
    assert inbox_of_said.take_rejected() == {"no_key": MOST_REJECTED + 5}
    said.say(None, text="long" * LONGEST_REJECTED)
    inbox_of_said.write_arrived()
    with store.reading() as connection:
        query = sa.select(rejected_records.c.record).order_by(rejected_records.c.id)
        records = connection.execute(query).scalars().all()
    assert len(records) == MOST_REJECTED
    assert json.loads(records[0])["number"] == 6
    assert len(records[-1]) == LONGEST_REJECTED


def test_a_record_that_the_database_refuses_holds_up_no_other(
    inbox_of_said, said, source, store, monkeypatch
):
    real = inbox_module.keep_history

    def keep(store, monitor, rows, keep, *more):
        if any(row["record"].get("flow") == 13 for row in rows):
            raise RefusedError("out of range")
        return real(store, monitor, rows, keep, *more)

    monkeypatch.setattr(inbox_module, "keep_history", keep)
    for number in range(30):
        said.say(f"k{number:02}", flow=number)
    said.say(None)
    assert inbox_of_said.write_arrived() == 29
    assert keys_of(source) == [f"k{n:02}" for n in range(30) if n != 13]
    assert inbox_of_said.take_rejected() == {"no_key": 1, "refused": 1}
    assert ("refused", {"flow": 13}) in rejected_of(store)


def test_a_store_that_is_away_loses_nothing_that_memory_can_hold(
    store, source, monkeypatch, caplog
):
    said = Said(most=5)
    inbox = Inbox(lambda: said, store, "pumps", keep=1000)
    said.say("first")
    with monkeypatch.context() as patch:
        patch.setattr(inbox_module, "keep_history", raise_(StoreError("away")))
        for _ in range(3):
            with pytest.raises(StoreError):
                inbox.write_arrived()
        for number in range(7):
            said.say(f"k{number}")
        with pytest.raises(StoreError):
            inbox.write_arrived()
    assert inbox.take_rejected() == {}
    assert inbox.write_arrived() == 6
    assert keys_of(source) == ["first", *(f"k{number}" for number in range(2, 7))]
    assert inbox.take_rejected() == {"lost": 2}
    (record,) = [one for one in caplog.records if one.action == "inbox.lost"]
    assert (record.monitor, record.records) == ("pumps", 2)
    inbox.close()


def test_columns_named_as_those_that_identify_a_record_are_kept_apart(store, source):
    said = Said()
    said.roles = Roles(time="time", key="key")
    inbox = Inbox(lambda: said, store, "pumps", keep=1000)
    said.say("1", entity="a value", record_key="another")
    inbox.write_arrived()
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    assert frame.identities == [("", "1")]
    assert frame.values.to_dict("records") == [{"entity_": "a value", "record_key_": "another"}]
    inbox.close()


def raise_(error):
    def fail(*_args):
        raise error

    return fail


def test_a_stream_that_breaks_its_promise_is_no_silent_loss(inbox_of_said, said):
    said.roles = Roles(time="at", key="key")
    said.say("1")
    with pytest.raises(FrameError, match="column 'at'"):
        inbox_of_said.write_arrived()
    assert inbox_of_said.take_rejected() == {"lost": 1}


# -- the thread


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(inbox_writer, "WRITE_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(inbox_writer, "LONGEST_PAUSE_SECONDS", 0.05)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_records_are_written_as_they_arrive(inbox_of_said, said, source):
    inbox_of_said.listen()
    inbox_of_said.listen()
    (thread,) = [one for one in threading.enumerate() if one.name == "inbox:pumps"]
    assert thread.daemon
    for key in "ab":
        said.say(key)
        wait_for(lambda key=key: key in keys_of(source))
    inbox_of_said.close(10)
    assert not thread.is_alive()
    assert said.closed


def test_nothing_is_opened_and_no_thread_started_before_somebody_listens(store):
    opened = []
    Inbox(lambda: opened.append(1), store, "pumps", keep=5).close()
    assert opened == []


def test_what_arrived_before_the_end_is_written(inbox_of_said, said, source):
    inbox_of_said.listen()
    wait_for(lambda: inbox_of_said._stream is said)
    said.say("last")
    inbox_of_said.close(10)
    assert keys_of(source) == ["last"]
    inbox_of_said.listen()
    said.say("too late")
    inbox_of_said.close()
    assert not [one for one in threading.enumerate() if one.name == "inbox:pumps"]


def test_the_thread_outlives_every_error_and_tells_each_once(
    quick, inbox_of_said, said, source, caplog
):
    said.error = SourceError("no broker at 1883")
    inbox_of_said.listen()
    wait_for(lambda: "no broker" in caplog.text)
    said.error = ValueError("nobody foresaw it")
    wait_for(lambda: "nobody foresaw it" in caplog.text)
    time.sleep(0.2)
    said.error = None
    said.say("1")
    wait_for(lambda: keys_of(source) == ["1"])
    assert [one.action for one in caplog.records] == ["inbox.failed", "inbox.failed"]
    assert caplog.records[0].exc_info is None
    assert caplog.records[1].exc_info


def test_a_stream_that_cannot_be_opened_is_tried_again(quick, said, store, source):
    errors = [SourceError("refused"), SourceConfigError("no driver")]

    def open_stream():
        if errors:
            raise errors.pop()
        return said

    inbox = Inbox(open_stream, store, "pumps", keep=5)
    said.say("1")
    inbox.listen()
    wait_for(lambda: keys_of(source) == ["1"])
    inbox.close()


def test_a_replica_whose_lease_was_lost_writes_nothing_more(quick, said, store, source, caplog):
    lease = timedelta(minutes=1)
    mine = Fence(monitor="pumps", holder="me", token=1, lease=lease)
    hold_lease(store, mine)
    inbox = Inbox(lambda: said, fenced(store, mine), "pumps", keep=5)
    inbox.listen()
    said.say("mine")
    wait_for(lambda: keys_of(source) == ["mine"])
    # When another replica takes the monitor
    hold_lease(store, Fence(monitor="pumps", holder="other", token=2, lease=lease))
    said.say("its")
    wait_for(lambda: said.closed)
    inbox.close(10)
    assert keys_of(source) == ["mine"]
    (record,) = [one for one in caplog.records if one.action == "inbox.lost"]
    assert record.records == 1


def hold_lease(store, fence):
    row = {"holder": fence.holder, "token": fence.token, "taken_at": T0, "expires_at": T0}
    with store.writing() as connection:
        connection.execute(sa.delete(leases))
        connection.execute(sa.insert(leases).values(monitor=fence.monitor, **row))
