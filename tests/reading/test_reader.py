"""The reader turns what a source returns into frames."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aemon.frame import Roles
from aemon.reading.reader import Reader
from aemon.records import Watermark
from aemon.sources.source import Fetched

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Numbered:
    """A source of a record a second; the position of a watermark is the number of its record."""

    roles = Roles(time="ts", key="id")

    def __init__(self, records: int) -> None:
        self.table = pd.DataFrame(
            {
                "ts": [(START + timedelta(seconds=n)).isoformat() for n in range(records)],
                "id": [str(n) for n in range(records)],
                "flow": np.arange(records, dtype=float),
            }
        )
        self.asked: list[tuple[str, int]] = []

    def fetch(self, after, limit):
        self.asked.append(("fetch", limit))
        first = int(after.position) + 1 if after else 0
        return self._fetched(slice(first, first + limit), after)

    def newest(self, until, limit):
        self.asked.append(("newest", limit))
        last = int(until.position) + 1 if until else len(self.table)
        return self._fetched(slice(max(0, last - limit), last), until)

    def _fetched(self, rows, at):
        table = self.table.iloc[rows].reset_index(drop=True)
        if len(table):
            number = int(table["id"].iloc[-1])
            at = Watermark(
                event_time=START + timedelta(seconds=number),
                record_key=str(number),
                position=str(number),
            )
        return Fetched(table=table, watermark=at, more=rows.stop < len(self.table))


def at(number: int) -> Watermark:
    return Watermark(
        event_time=START + timedelta(seconds=number), record_key=str(number), position=str(number)
    )


def test_records_are_read_in_order_and_the_bad_ones_counted():
    source = Numbered(5)
    source.table.loc[1, "ts"] = "yesterday"
    read = Reader(source).after(None, 10)
    assert read.frame.keys.tolist() == ["0", "2", "3", "4"]
    assert (read.fetched, read.frame.rejected) == (5, {"no_time": 1})
    assert read.frame.context is None


def test_a_frame_begins_with_the_context_rows_that_were_asked_for():
    read = Reader(Numbered(10), context_rows=3).after(at(4), 2)
    assert read.frame.keys.tolist() == ["2", "3", "4", "5", "6"]
    assert read.frame.context.tolist() == [True, True, True, False, False]
    assert (read.fetched, read.watermark) == (2, at(6))
    assert read.frame.without_context().keys.tolist() == ["5", "6"]


def test_the_first_records_have_no_context_and_what_has_no_records_reads_none():
    source = Numbered(3)
    reader = Reader(source, context_rows=3)
    assert reader.after(None, 2).frame.context is None
    assert len(reader.after(at(2), 2).frame) == 0
    assert ("newest", 3) not in source.asked


def test_a_rejected_context_row_is_not_counted_again():
    source = Numbered(6)
    source.table.loc[2, "ts"] = "yesterday"
    read = Reader(source, context_rows=2).after(at(3), 2)
    assert read.frame.keys.tolist() == ["3", "4", "5"]
    assert read.frame.rejected == {}


def test_what_is_not_complete_yet_is_held_back_and_the_watermark_stays_before_it():
    source = Numbered(10)
    now = START + timedelta(seconds=9)
    reader = Reader(source, complete_after=timedelta(seconds=3), clock=lambda: now)
    read = reader.after(at(3), 10)
    assert read.frame.keys.tolist() == ["4", "5", "6"]
    assert (read.watermark, read.incomplete, read.more) == (at(6), 3, False)
    held = reader.after(at(6), 10)
    assert (len(held.frame), held.fetched, held.watermark, held.incomplete) == (0, 0, at(6), 3)
    now += timedelta(seconds=3)
    assert reader.after(at(6), 10).frame.keys.tolist() == ["7", "8", "9"]


def test_to_hold_back_takes_a_clock():
    with pytest.raises(ValueError, match="clock"):
        Reader(Numbered(1), complete_after=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, None), (0, at(0)), (2, at(2)), (2.5, at(2)), (99, at(4))]
)
def test_the_watermark_behind_the_leading_records_is_asked_of_the_source(seconds, expected):
    reader = Reader(Numbered(5))
    first = Watermark(position="-1")
    read = reader.after(first, 10)
    assert reader.watermark_behind(first, read, START + timedelta(seconds=seconds)) == expected


def test_nothing_but_the_reader_makes_frames_of_what_a_source_returns():
    calls = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "aemon").rglob("*.py"))
        if path.parent.name != "testing"  # the suite of sources looks at what they return
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("check_frame")
    ]
    assert set(calls) == {"aemon/reading/reader.py"}
