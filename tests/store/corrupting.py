"""Stores into which a stranger wrote: one prepared store, put back and corrupted for every seed."""

import random
import sqlite3
from typing import Any

import sqlalchemy as sa

from aemon.store.schema.tables import metadata

TEXTS = (
    "", "{", "null", "[]", "7", '"x"', "{}", '{"event_time": 7}', '{"flow": "x"}', '{"flow": null}',
    '{"a": {"b": [1]}}', "NaN", "soon", "2026-12-24 24:00:00", "-1", "\U0001f4a3" * 50, "a\0b", "x" * 5_000,
    '{"time": ["text", 1], "key": ["int", "x"]}', '{"time": ["nothing", 1]}', "[" * 10_000,
    '{"newest_key": ["int", 9], "missing": 5}', '{"scores": {}, "columns": 1}', "9" * 30, "4.0", "\u0665",
)  # fmt: skip
JSONS = (
    "null", "[]", "7", '"x"', "{}", '{"event_time": 7}', '{"flow": "x"}', '{"flow": null}',
    '{"a": {"b": [1]}}', '{"event_time": "soon", "record_key": 1, "position": []}', "true",
    '{"scores": {}, "columns": 1}', '{"flow": 1e300}', '{"event_time": "0001-01-01T00:00:00+14:00"}',
)  # fmt: skip
NUMBERS = (-1, 0, 1, 7, 2**31 - 1, 2**31, 2**62, -(2**63))
REALS = (0.0, -1.5, 1e308, 9e999, -9e999, 5e-324)
BYTES = (b"", b"\0" * 99)
TIMES = ("infinity", "-infinity", "0044-03-15 12:00:00 BC", "1970-01-01", "294276-12-31 23:59:59Z")
VALUES = {
    "TEXT": TEXTS, "INTEGER": NUMBERS, "REAL": REALS, "BLOB": BYTES,
    "text": [text for text in TEXTS if "\0" not in text], "jsonb": JSONS, "bigint": NUMBERS,
    "integer": NUMBERS, "double precision": (*REALS, float("nan")), "bytea": BYTES,
    "timestamp with time zone": TIMES, "boolean": ("t", "f"),
}  # fmt: skip
_TRIES = 20  # at a column that takes the value: a key, or a number that is too large, is refused

Corruption = tuple[str, str, Any]
"""A table, its column, and what is written there."""


class InSqlite:
    """A store in a file, and the same as it was at first in memory."""

    errors = sqlite3.Error

    def __init__(self, path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA ignore_check_constraints = on")
        self._connection.execute("PRAGMA synchronous = off")
        self._whole = sqlite3.connect(":memory:")
        self._connection.backup(self._whole)

    def restore(self) -> None:
        self._whole.backup(self._connection)

    def columns(self, table: str) -> list[tuple[str, str]]:
        return [(row[1], row[2]) for row in self.ask(f"PRAGMA table_info({table})")]

    def rows(self, table: str) -> list[Any]:
        try:
            return [row for (row,) in self.ask(f"SELECT rowid FROM {table} ORDER BY rowid")]
        except sqlite3.Error:  # WITHOUT ROWID: all rows or none
            return self.ask(f"SELECT NULL FROM {table} LIMIT 1")

    def ask(self, query: str) -> list[Any]:
        return self._connection.execute(query).fetchall()

    def write(self, table: str, column: str, value: Any, rows: list[Any]) -> None:
        some = f" WHERE rowid IN ({', '.join(map(str, rows))})" if rows != [(None,)] else ""
        self._connection.execute(f"UPDATE {table} SET {column} = ?{some}", (value,))

    def close(self) -> None:
        self._connection.close()
        self._whole.close()


class InPostgresql:
    """A store whose tables no check guards any more, and a second schema with their rows."""

    errors = sa.exc.DBAPIError

    def __init__(self, url: str) -> None:
        engine = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        self._engine = engine
        self._connection = engine.connect()
        self._do("SET session_replication_role = replica")  # keys refer to what they like
        self._do("CREATE SCHEMA whole")
        for (drop,) in self.ask(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', conrelid::regclass, conname)"
            " FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace"
            " WHERE contype = 'c' AND nspname = 'public' AND coninhcount = 0 AND conrelid > 0"
        ):
            self._do(drop)
        for table in metadata.tables:
            self._do(f"CREATE TABLE whole.{table} AS TABLE public.{table}")
        self._back = "".join(
            f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM whole.{table};"
            for table in metadata.tables
        )

    def restore(self) -> None:
        self._do(f"TRUNCATE {', '.join(metadata.tables)}")
        self._do(self._back)

    def columns(self, table: str) -> list[tuple[str, str]]:
        return self.ask(
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        )

    def rows(self, table: str) -> list[Any]:
        return [row for (row,) in self.ask(f"SELECT ctid::text FROM {table} ORDER BY ctid")]

    def ask(self, query: str) -> list[Any]:
        return [tuple(row) for row in self._connection.execute(sa.text(query))]

    def write(self, table: str, column: str, value: Any, rows: list[Any]) -> None:
        kind = dict(self.columns(table))[column]
        self._connection.execute(
            sa.text(
                f"UPDATE {table} SET {column} = CAST(:value AS {kind}) WHERE ctid = ANY(CAST(:rows AS tid[]))"
            ),
            {"value": value, "rows": rows},
        )

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _do(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)


class Corruptible:
    """A store that can be corrupted, over and over."""

    def __init__(self, where: InSqlite | InPostgresql) -> None:
        self._where = where
        self._rows = {table: where.rows(table) for table in metadata.tables}
        self._columns = {table: where.columns(table) for table in metadata.tables}
        self._filled = [table for table, rows in self._rows.items() if rows]

    def corrupt(self, rng: random.Random) -> Corruption:
        """Put the store back as it was, and change a column of some rows, as no check sees it."""
        self._where.restore()
        for _ in range(_TRIES):
            table = rng.choice(self._filled)
            column, kind = rng.choice(self._columns[table])
            value = rng.choice(VALUES[kind])
            rows = self._rows[table]
            some = rows if rng.random() < 0.5 else rng.sample(rows, 1 + rng.randrange(len(rows)))
            try:
                self._where.write(table, column, value, some)
            except self._where.errors:
                continue
            return table, column, value
        raise AssertionError("no column takes anything")

    def write(self, corruption: Corruption) -> None:
        """Put the store back as it was, and change a column of all rows."""
        table, column, value = corruption
        self._where.restore()
        self._where.write(table, column, value, self._rows[table])
