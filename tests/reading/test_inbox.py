"""A stream that says each record once, and the inbox that remembers it in the store."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from aemon.frame import Roles
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.source import Arrived

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Forgetful:
    """A stream: what it has said once it cannot say again."""

    roles = Roles(time="time", key="key")

    def __init__(self) -> None:
        self.now = self.said = 0
        self.closed = False

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
