"""Every time that a SQLite store accepts from a person is read as SQLite reads it."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from aemon.times.stored_times import EARLIEST, LATEST, stored_time

CHECK = (
    "SELECT date(substr(:t, 1, 10), '+0 days') = substr(:t, 1, 10) AND julianday(:t) IS NOT NULL,"
    " strftime('%Y-%m-%d %H:%M:%f', :t, '+0 days')"
)
DAYS = ("2026-12-24", "2024-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2026-02-30")
BETWEEN = (" ", "T", "  ", "", "T ", "\t")
CLOCKS = (
    "", "24:00:00", "24:00", "24:59:59.9", "12", "12:00", "12:00:30", "12:00:30.5", "12:00:30.123456789",
    "23:59:59.999999", "12:60", "12:00:60", "12:00:30.", "7:30", "25:00",
)  # fmt: skip
ZONES = (
    "", "Z", " z", "+01:00", "-14:00", " +05:30 ", "+14:59", "+15:00", "+1:00", "+0100", "UTC", " ",
)  # fmt: skip


def test_what_sqlite_accepts_is_read_as_sqlite_does():
    rng = random.Random(11)
    texts = {
        "".join(map(rng.choice, (DAYS, BETWEEN, CLOCKS, ZONES))) for _ in range(4_000)
    } | {"2026-12-24", "2026-12-24 24:00:00", "2026-12-24T12:00:00+01:00"}  # fmt: skip
    accepted = 0
    with closing(sqlite3.connect(":memory:")) as connection:
        for text in sorted(texts):
            fine, written = connection.execute(CHECK, {"t": text}).fetchone()
            if not fine:
                continue
            accepted += 1
            read = stored_time(text)
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read
            if not text.startswith(("0000", "0001-01-01", "9999-12-31")):
                wanted = datetime.fromisoformat(written).replace(tzinfo=UTC)
                assert abs(read - wanted) <= timedelta(milliseconds=1), text
    assert accepted > 300
    assert stored_time("0000-06-01") == EARLIEST
    assert stored_time("9999-12-31 24:00:00") == LATEST
