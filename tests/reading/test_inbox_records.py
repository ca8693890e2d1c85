"""Kept records of a stream: columns that are silent for a while stay columns."""

from datetime import timedelta

import pandas as pd

from aemon.reading import inbox_records
from aemon.reading.inbox_records import InboxRecords
from aemon.store.inbox.kept_records import keep_history
from tests.streams import T0


def keep(store, numbers, **values):
    rows = [
        {"record_key": str(number), "event_time": T0 + timedelta(seconds=number), "record": values}
        for number in numbers
    ]
    keep_history(store, "pumps", rows, keep=10_000)


def test_a_column_that_no_new_record_has_is_missing_in_them(store):
    keep(store, range(5), flow=1.5, valve="open")
    records = InboxRecords(store, "pumps")
    first = records.fetch(None, 100)
    keep(store, range(5, 8), flow=2.5)
    for reader in (records, InboxRecords(store, "pumps")):  # also after a restart
        table = reader.fetch(first.watermark, 100).table
        assert table["flow"].tolist() == [2.5] * 3
        assert table["valve"].isna().all()
        assert len(table) == 3


def test_a_column_that_is_silent_for_longer_is_known_while_the_reader_lives(store, monkeypatch):
    monkeypatch.setattr(inbox_records, "LOOKED_AT", 3)
    keep(store, range(5), flow=1.5, valve="open")
    records = InboxRecords(store, "pumps")
    first = records.fetch(None, 100)
    keep(store, range(5, 10), flow=2.5)
    assert "valve" in records.fetch(first.watermark, 100).table
    assert "valve" not in InboxRecords(store, "pumps").fetch(first.watermark, 100).table


def test_nothing_new_is_an_empty_table(store):
    keep(store, range(5), flow=1.5)
    records = InboxRecords(store, "pumps")
    last = records.fetch(None, 100).watermark
    table = records.fetch(last, 100).table
    assert isinstance(table, pd.DataFrame)
    assert not len(table)
