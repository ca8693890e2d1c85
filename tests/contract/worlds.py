"""For each kind of source a world it reads from, in which records can be made to happen."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from aemon.config.source_settings import CsvSource, HostSource, SqlSource
from aemon.sources.host.source import Host
from aemon.sources.source import Source
from aemon.sources.source_kinds import open_source

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def moment(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


class World:
    """Records happen by `add`, which tells their keys; `source` reads them."""

    source: Source

    def add(self, seconds: list[int]) -> list[str]:
        raise NotImplementedError

    def close(self) -> None:
        self.source.close()


WRITTEN = {
    "text": lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
    "integer": lambda moment: round(moment.timestamp() * 1000),
    "real": datetime.timestamp,
}


class SqliteWorld(World):
    def __init__(self, folder: Path, time_type: str, *, query: bool = False) -> None:
        self.time_type = time_type
        self.connection = sqlite3.connect(folder / "plant.db")
        self.connection.execute(
            f'CREATE TABLE "Readings" ("at" {time_type}, id INTEGER PRIMARY KEY, flow REAL)'
        )
        self.connection.commit()
        what = {"query": 'SELECT * FROM "Readings" -- all;'} if query else {"table": "Readings"}
        settings = SqlSource(url=f"sqlite:///{folder}/plant.db", time="at", key="id", **what)
        self.source = open_source(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        write = WRITTEN[self.time_type]
        keys = []
        for second in seconds:
            cursor = self.connection.execute(
                'INSERT INTO "Readings" ("at", flow) VALUES (?, ?)', (write(moment(second)), second)
            )
            keys.append(str(cursor.lastrowid))
        self.connection.commit()
        return keys

    def close(self) -> None:
        super().close()
        self.connection.close()


class PostgresqlWorld(World):
    def __init__(self, url: str) -> None:
        self.url = url
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(
                "CREATE TABLE readings (at timestamptz, id bigserial PRIMARY KEY, flow float8)"
            )
        # The server trusts everybody: any password will do.
        secret = url.replace("aemon@", "aemon:hunter2@")
        settings = SqlSource(url=secret, table="public.readings", time="at", key="id")
        self.source = open_source(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            return [
                str(
                    connection.execute(
                        "INSERT INTO readings (at, flow) VALUES (%s, %s) RETURNING id",
                        (moment(second), second),
                    ).fetchone()[0]
                )
                for second in seconds
            ]


class CsvWorld(World):
    """One file, or a folder in which every other record goes to a second file."""

    def __init__(self, folder: Path, *, files: int) -> None:
        self.files = [folder / f"{name}.csv" for name in "ab"[:files]]
        for file in self.files:
            file.write_text("at,flow\n")
        self.lines = dict.fromkeys(self.files, 1)
        self.added = 0
        path = folder if files > 1 else self.files[0]
        self.source = open_source(CsvSource(path=path, time="at"), clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        keys = []
        for second in seconds:
            file = self.files[self.added % len(self.files)]
            with file.open("a") as stream:
                stream.write(f"{moment(second).isoformat()},{second}\n")
            self.added += 1
            self.lines[file] += 1
            keys.append(f"{file.name}:{self.lines[file]}")
        return keys


class HostWorld(World):
    def __init__(self) -> None:
        self.now = EPOCH
        settings = HostSource(sample_every=timedelta(days=1))
        self.source: Host = Host(settings, clock=lambda: self.now)
        self.source.count(1)  # starts the thread, whose one reading prepares the rates
        while self.source._earlier is None:
            time.sleep(0.001)

    def add(self, seconds: list[int]) -> list[str]:
        keys = []
        for second in seconds:
            self.now = moment(second)
            self.source.take_record()
            newest = self.source.newest(None, 1).table
            keys.append(newest["key"].iloc[0])
        return keys


WORLDS = {
    "sql text time": lambda ask, folder: SqliteWorld(folder, "text"),
    "sql integer time": lambda ask, folder: SqliteWorld(folder, "integer"),
    "sql real time": lambda ask, folder: SqliteWorld(folder, "real"),
    "sql query": lambda ask, folder: SqliteWorld(folder, "text", query=True),
    "sql postgresql": lambda ask, folder: PostgresqlWorld(ask("postgres_url")),
    "csv file": lambda ask, folder: CsvWorld(folder, files=1),
    "csv folder": lambda ask, folder: CsvWorld(folder, files=2),
    "host": lambda ask, folder: HostWorld(),
}


def keys_in_steps(source: Source, limit: int, watermark=None) -> Iterator[list[str]]:
    """The keys of each read, for a watermark that moves until there is no more."""
    while True:
        fetched = source.fetch(watermark, limit)
        yield [str(key) for key in fetched.table[source.roles.key]]
        watermark = fetched.watermark
        if not fetched.more:
            return
