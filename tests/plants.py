"""A plant's readings and the store of its results, in SQLite or in a real PostgreSQL server.

Asks both in the same words, and knows what must hold in a store whatever was done to its daemons.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tests import readings
from tests.processes import SmallDisk, insert, make_table, sql_source

LEARNED = 300
START = datetime(2026, 1, 20, tzinfo=UTC)  # near a month's end: PostgreSQL keeps scores by month
PAUSE = timedelta(minutes=3)
ODD_EVERY = 50  # one record of so many breaks the pattern, so that anomalies are written, too
ODD = (9.0, 2.2, 0.8)
MONITORS = f"""
  plant:
    source: {{source}}
    score_every: 200ms
    min_records: {LEARNED}
    chunk_records: 50
"""

_SAME = " AND ".join(f"s.{name} = a.{name}" for name in ("monitor", "record_key", "entity"))
_SAME += " AND s.revision = a.revision AND s.event_time = a.event_time"
_SAME_ANOMALY = _SAME.rsplit(" AND ", 1)[0].replace("s.", "c.")
ORPHANS = {
    "anomalies without a flagged score": (
        f"SELECT count(*) FROM anomalies a LEFT JOIN scores s ON {_SAME}"
        " AND s.verdict IN ('anomaly', 'suppressed') WHERE s.monitor IS NULL"
    ),
    "flagged scores without an anomaly": (
        f"SELECT count(*) FROM scores s LEFT JOIN anomalies a ON {_SAME}"
        " WHERE s.verdict IN ('anomaly', 'suppressed') AND a.monitor IS NULL"
    ),
    "contributions without an anomaly": (
        f"SELECT count(*) FROM contributions c LEFT JOIN anomalies a ON {_SAME_ANOMALY}"
        " WHERE a.monitor IS NULL"
    ),
    "anomalies without contributions": (
        f"SELECT count(*) FROM anomalies a LEFT JOIN contributions c ON {_SAME_ANOMALY}"
        " WHERE c.monitor IS NULL"
    ),
    **{
        f"scores of a lost {table[:-1]}": (
            f"SELECT count(*) FROM scores WHERE {table[:-1]}_id IS NULL"
            f" OR {table[:-1]}_id NOT IN (SELECT id FROM {table})"
        )
        for table in ("runs", "detectors", "thresholds")
    },
    "runs that counted other scores than they wrote": (
        "SELECT count(*) FROM runs r LEFT JOIN"
        " (SELECT run_id, count(*) AS scored, sum(CASE WHEN verdict = 'anomaly' THEN 1 ELSE 0 END)"
        " AS flagged FROM scores GROUP BY run_id) s ON s.run_id = r.id WHERE r.job = 'score'"
        " AND (r.records_scored <> coalesce(s.scored, 0) OR r.anomalies <> coalesce(s.flagged, 0))"
    ),
}


def rows(count: int, *, first: int) -> Iterator[tuple[Any, ...]]:
    """(id, ts, flow, pressure, current), some of them odd once the normal ones are learned."""
    for number, row in enumerate(readings.values(count, first=first).tolist(), start=first):
        odd = number > LEARNED and number % ODD_EVERY == 0
        yield (number, (START + PAUSE * number).isoformat(), *(ODD if odd else row))


def ask_sqlite(file: Path | str, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


_ASK = (
    "import json, sys; from tests.plants import ask_sqlite;"
    " print(json.dumps(ask_sqlite(*sys.argv[1:])))"
)


class Plant(Protocol):
    """Where the records are, and where the results."""

    store: str
    source: str  # in YAML's short form

    def add(self, count: int, *, first: int) -> None:
        """Insert rows."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the store; an empty answer while it is being made."""

    def unscored(self, *, since: int) -> int:
        """How many source rows from a key up to the watermark have no score, at one moment."""


class SqlitePlant:
    """Two files: plant.db in a folder, aemon.db beside it or on a disk of its own."""

    def __init__(self, folder: Path, disk: SmallDisk | None = None) -> None:
        self.database = folder / "plant.db"
        self.source = sql_source(self.database)
        self._file = (disk.folder if disk else folder) / "aemon.db"
        self._prefix = disk.prefix if disk else ()
        self.store = f"sqlite:///{self._file}"
        make_table(self.database, "readings", ["ts TEXT", *readings.COLUMNS])

    def add(self, count: int, *, first: int) -> None:
        insert(self.database, "readings", rows(count, first=first))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        if self._prefix:
            command = [*self._prefix, sys.executable, "-c", _ASK, str(self._file), sql]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            return [tuple(row) for row in json.loads(answer)]
        return ask_sqlite(self._file, sql)

    def unscored(self, *, since: int) -> int:
        with closing(sqlite3.connect(self._file, timeout=10)) as connection:
            connection.execute(f"ATTACH '{self.database}' AS plant")
            found = connection.execute(_UNSCORED.format(since=since, table="plant.readings"))
            count: int = found.fetchone()[0]
            return count


class PostgresPlant:
    """A table and the results in one database, or in two."""

    def __init__(self, url: str, results: str | None = None) -> None:
        self.store = results or url
        self.source = f"{{kind: sql, url: '{url}', table: readings, time: ts, key: id}}"
        self._url = url
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(
                "CREATE TABLE readings (id bigint PRIMARY KEY, ts timestamptz,"
                " flow float8, pressure float8, current float8)"
            )

    def add(self, count: int, *, first: int) -> None:
        with (
            closing(psycopg.connect(self._url)) as connection,
            connection.cursor() as cursor,
            connection,
            cursor.copy("COPY readings FROM STDIN") as copy,
        ):
            for row in rows(count, first=first):
                copy.write_row(row)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.store, autocommit=True)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except psycopg.errors.UndefinedTable:
                return []

    def unscored(self, *, since: int) -> int:
        count: int = self.ask(_UNSCORED.format(since=since, table="readings"))[0][0]
        return count


_UNSCORED = (
    "SELECT count(*) FROM {table} r JOIN watermarks w"
    " ON r.id <= CAST(w.record_key AS bigint) WHERE r.id >= {since} AND NOT EXISTS"
    " (SELECT 1 FROM scores s WHERE s.monitor = w.monitor"
    " AND s.record_key = CAST(r.id AS text) AND s.superseded_at IS NULL)"
)


def scored(plant: Plant) -> int:
    """How many records have a score that holds."""
    found = plant.ask("SELECT count(*) FROM scores WHERE superseded_at IS NULL")
    return found[0][0] if found else 0


def watermark(plant: Plant) -> int:
    """The key that was read last; -1 if there is no watermark yet."""
    found = plant.ask("SELECT record_key FROM watermarks")
    return int(found[0][0]) if found else -1


def assert_whole(plant: Plant, total: int) -> None:
    """Every row after the learned ones has one score, and nothing else is in the store."""
    keys = plant.ask("SELECT record_key FROM scores WHERE superseded_at IS NULL")
    assert sorted(int(key) for (key,) in keys) == list(range(LEARNED, total))
    assert plant.ask("SELECT count(*) FROM scores WHERE superseded_at IS NOT NULL") == [(0,)]
    assert watermark(plant) == total - 1
    assert {name: plant.ask(sql) for name, sql in ORPHANS.items()} == {
        name: [(0,)] for name in ORPHANS
    }
    odd = len(range(LEARNED + ODD_EVERY, total, ODD_EVERY))
    assert plant.ask("SELECT count(*) FROM anomalies")[0][0] >= odd, "the odd ones were flagged"
    coverage = plant.ask(
        "SELECT records_scored, records_revised, records_unaccounted FROM coverage"
    )
    assert {unaccounted for _, _, unaccounted in coverage} == {0}
    assert sum(scored for scored, _, _ in coverage) == total - LEARNED
    assert sum(revised for _, revised, _ in coverage) == 0
