"""A source that forgets, and the store that remembers for it."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from aemon.frame import Roles
from aemon.reading.inbox import HistorySource, KeptRecords
from aemon.records import Watermark
from aemon.sources.source import Fetched

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Forgetful:
    """A live source: what it has said once it cannot say again."""

    roles = Roles(time="time", key="key")
    replayable = False
    in_order_of_arrival = True

    def __init__(self) -> None:
        self.now = 0
        self.closed = False

    def fetch(self, after, limit):
        first = int(after.position) if after else 0
        rows = [
            {
                "time": T0 + timedelta(seconds=n),
                "key": f"k{n}",
                "load": n / 10,
                "odd": None if n % 2 else float("inf"),
            }
            for n in range(first, self.now)
        ]
        table = pd.DataFrame(rows, columns=["time", "key", "load", "odd"])
        mark = Watermark(event_time=T0, record_key="", position=str(self.now))
        return Fetched(table=table, watermark=mark, more=False)

    def describe(self):
        return "a forgetful source"

    def close(self):
        self.closed = True


@pytest.fixture
def live():
    return Forgetful()


@pytest.fixture
def source(live, store):
    return HistorySource(live, store, "pumps", keep=50)


def test_what_was_drained_can_be_read_again_and_again(source, live):
    live.now = 10
    assert source.drain() == 10
    first = source.fetch(None, 4)
    rest = source.fetch(first.watermark, 100)
    assert first.more
    assert not rest.more
    assert [*first.table["load"], *rest.table["load"]] == [n / 10 for n in range(10)]
    assert source.fetch(None, 4).table["load"].tolist() == first.table["load"].tolist()
    assert source.fetch(rest.watermark, 5).table.empty
    assert rest.watermark.event_time == T0 + timedelta(seconds=9)


def test_a_record_is_drained_once(source, live):
    live.now = 10
    source.drain()
    live.now = 12
    assert source.drain() == 2
    assert source.drain() == 0
    assert source.count(100) == 12
    assert source.count(5) == 5


def test_only_the_newest_are_kept(source, live):
    live.now = 80
    source.drain()
    assert source.count(100) == 50
    assert source.newest(None, 3).table["record_key"].tolist() == ["k77", "k78", "k79"]


def test_training_reads_what_is_kept_and_nothing_live(source, live, store):
    live.now = 20
    source.drain()
    kept = KeptRecords(store, "pumps")
    mark = kept.fetch(None, 10).watermark
    live.now = 30
    assert kept.newest(mark, 3).table["record_key"].tolist() == ["k7", "k8", "k9"]
    assert kept.count(100) == 20
    kept.close()
    assert not live.closed
    source.close()
    assert live.closed


def test_what_json_cannot_say_is_missing(source, live):
    live.now = 2
    source.drain()
    assert source.fetch(None, 10).table["odd"].isna().all()


def test_records_that_wait_to_be_judged_are_never_dropped(source, live, store):
    live.now = 10
    source.drain()
    mark = source.fetch(None, 5).watermark
    with store.writing() as connection:
        store.move(connection, "pumps", store.mark("pumps"), mark)
    live.now = 700
    source.drain()
    rest = source.fetch(mark, 1000).table
    assert rest["record_key"].tolist() == [f"k{n}" for n in range(5, 700)]
