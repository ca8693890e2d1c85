"""The plant's own SQLite database, like the database of a small historian."""

import contextlib
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from aemon.demo.score_card import PlantedFault
from aemon.errors import SourceConfigError

_PREFIX = "sqlite:///"
_BUSY_SECONDS = 10.0  # a reader of the demo may lock the database for a moment

_TABLES = """
CREATE TABLE IF NOT EXISTS readings (
    id          INTEGER PRIMARY KEY,
    ts          TEXT NOT NULL,  -- UTC, ISO 8601
    pump_id     TEXT NOT NULL,
    flow        REAL,           -- m3/h
    pressure    REAL,           -- bar
    temperature REAL,           -- degC
    vibration   REAL,           -- mm/s
    current     REAL,           -- A
    valve       TEXT            -- open or throttled
);
CREATE INDEX IF NOT EXISTS readings_ts ON readings (ts, id);
CREATE TABLE IF NOT EXISTS planted_faults (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    pump_id    TEXT NOT NULL,
    started_at TEXT NOT NULL,   -- UTC, ISO 8601
    ended_at   TEXT NOT NULL,   -- planned; the plant may be stopped earlier
    columns    TEXT NOT NULL    -- separated by commas
);
"""
_INSERT_READING = (
    "INSERT INTO readings (ts, pump_id, flow, pressure, temperature, vibration, current, valve)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_FAULT = (
    "INSERT INTO planted_faults (kind, pump_id, started_at, ended_at, columns)"
    " VALUES (?, ?, ?, ?, ?)"
)

Reading = tuple[str, str, float | None, float | None, float | None, float | None, float | None, str]
"""One row of `readings`, without its id."""


def path_of(url: str) -> Path:
    """Return the file of a `sqlite:///` URL.

    Raises:
        SourceConfigError: the URL names no SQLite file.
    """
    path = url.removeprefix(_PREFIX)
    if path == url or not path or path == ":memory:":
        raise SourceConfigError(
            f"{url!r} names no SQLite file", todo="write for example sqlite:///plant.db"
        )
    return Path(path)


def open_plant_database(path: Path) -> sqlite3.Connection:
    """Open the plant's database for writing, and make missing tables.

    Raises:
        SourceConfigError: the file cannot be opened, or is not a database.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        # Readers must never wait for the plant, and the plant must never wait for readers.
        connection.execute("PRAGMA journal_mode=WAL")
        # The data of a demo may be lost in a power cut; a slow disk must not delay the plant.
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(_TABLES)
    except sqlite3.Error as error:
        raise SourceConfigError(
            f"{path}: cannot write the plant's database: {error}",
            todo="name a file in a folder that can be written",
        ) from error
    return connection


def write(
    connection: sqlite3.Connection, readings: Iterable[Reading], faults: Iterable[PlantedFault]
) -> None:
    """Write readings, and the faults that begin in the same period, in one transaction."""
    with connection:
        connection.executemany(_INSERT_READING, readings)
        connection.executemany(
            _INSERT_FAULT,
            [
                (f.kind, f.pump, text_of(f.started_at), text_of(f.ended_at), ",".join(f.columns))
                for f in faults
            ],
        )


def read_planted_faults(path: Path) -> tuple[PlantedFault, ...]:
    """Return all faults planted so far, oldest first."""
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        rows = connection.execute(
            "SELECT kind, pump_id, started_at, ended_at, columns FROM planted_faults ORDER BY id"
        ).fetchall()
    return tuple(
        PlantedFault(
            kind=kind,
            pump=pump,
            started_at=datetime.fromisoformat(started_at),
            ended_at=datetime.fromisoformat(ended_at),
            columns=tuple(columns.split(",")),
        )
        for kind, pump, started_at, ended_at, columns in rows
    )


def text_of(moment: datetime) -> str:
    """Return a time as text with microseconds; the alphabetical order is then the order of time.

    >>> text_of(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
