"""Whatever ends between two reads, each bucket is handed over once, and whole."""

import random
from datetime import timedelta

import pytest

from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.readings.source import Readings
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable
from aemon.testing.source_worlds import EPOCH, moment
from tests.processes import insert, make_table

LONG = {
    "time": "ts",
    "entity": "pump",
    "pivot": {"name": "tag", "value": "value"},
    "bucket": {"every": "10s", "wait": "5s", "aggregate": {"flow": "sum", "meter": "increase"}},
}
TAGS = ("flow", "meter", "level")
SECONDS = 200
MOST_LATE = 4  # seconds: less than a bucket waits


def readings_of(chance):
    """Readings as (second they come, second they are of, pump, tag, value), in order of arrival."""
    made = []
    for pump in ("p1", "p2"):
        for tag in TAGS:
            meter = 0
            for second in range(SECONDS):
                if chance.random() < 0.3:
                    meter += chance.randint(0, 5)
                    value = meter if tag == "meter" else chance.randint(0, 9)
                    made.append((second + chance.randint(0, MOST_LATE), second, pump, tag, value))
    return sorted(made)


class Sqlite:
    def __init__(self, folder):
        self.file = folder / "plant.db"
        make_table(self.file, "long", ["ts TEXT", "pump TEXT", "tag TEXT", "value REAL"])
        self.settings = SqlSource.model_validate(
            {**LONG, "url": f"sqlite:///{self.file}", "table": "long", "key": "id"}
        )
        self.rows = 0

    def add(self, readings):
        rows = []
        for _, second, pump, tag, value in readings:
            self.rows += 1
            rows.append((self.rows, f"{moment(second):%Y-%m-%d %H:%M:%S}", pump, tag, value))
        if rows:
            insert(self.file, "long", rows)

    def below(self, clock):
        return SqlTable(self.settings, clock)


class Csv:
    def __init__(self, folder):
        self.file = folder / "long.csv"
        self.file.write_text("ts,pump,tag,value\n")
        self.settings = CsvSource.model_validate({**LONG, "path": self.file})

    def add(self, readings):
        with self.file.open("a") as stream:
            for _, second, pump, tag, value in readings:
                stream.write(f"{moment(second):%Y-%m-%d %H:%M:%S},{pump},{tag},{value}\n")

    def below(self, _clock):
        return CsvFiles(self.settings)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [Sqlite, Csv])
def test_each_bucket_is_handed_over_once_and_whole(tmp_path, kind, seed):
    chance = random.Random(seed)
    plant = kind(tmp_path)
    waiting = readings_of(chance)
    now, mark, found, told = 0, None, [], []
    # When: readings come out of order, and each read is of a new process with limits of its own
    while now < SECONDS + 60:
        now += chance.randint(3, 40)
        come = [reading for reading in waiting if reading[0] <= now]
        waiting = waiting[len(come) :]
        plant.add(come)
        clock = lambda now=now: moment(now)  # noqa: E731
        at_once = chance.choice([7, 50, 1000])
        source = Readings(plant.below(clock), plant.settings, clock, at_once=at_once)
        for _ in range(chance.randint(1, 3)):
            fetched = source.fetch(mark, chance.choice([1, 3, 100]))
            found += fetched.table.to_dict("records")
            told += fetched.warnings
            mark = fetched.watermark
        source.close()
    clock = lambda: EPOCH + timedelta(days=1)  # noqa: E731
    source = Readings(plant.below(clock), plant.settings, clock)
    fetched = source.fetch(mark, 1000)
    found += fetched.table.to_dict("records")
    # Then: it is as if all had been read at once
    whole = Readings(plant.below(clock), plant.settings, clock).fetch(None, 1000)
    expected = whole.table.to_dict("records")
    assert len(expected) > SECONDS // 10
    assert [str(record) for record in found] == [str(record) for record in expected]
    assert told == []
