"""For each kind of source a world it reads from, in which records can be made to happen."""

import atexit
import itertools
import json
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from aemon.config.schema import MonitorSettings
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.open_buckets import OpenBuckets
from aemon.reading.pushed_records import PushDesk
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.host.settings import HostSource
from aemon.sources.host.source import Host
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.opcua.settings import OpcUaSource
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.push.batches import read_json_lines
from aemon.sources.push.settings import PushSource
from aemon.sources.readings.source import Readings
from aemon.sources.source_kinds import open_replayable, open_stream
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable
from aemon.store.engine import open_engine
from aemon.store.inbox.kept_records import keep_history
from aemon.store.schema import revisions
from aemon.store.store import Store
from aemon.testing.manual_clock import ManualClock
from aemon.testing.source_worlds import EPOCH, StreamWorld, World, moment
from tests.kafka import MockCluster, quick_sessions, wait_for
from tests.mariadb import MariaDb
from tests.mosquitto import Mosquitto, cut, publisher
from tests.opcua import OpcUaServer
from tests.remote_write import encoded, write
from tests.streams import Said

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
        self.source = open_replayable(settings, clock=lambda: EPOCH)

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


class DuckDbWorld(World):
    """A table in a file of DuckDB, or a folder of Parquet files that DuckDB reads."""

    def __init__(self, folder: Path, *, files: bool) -> None:
        self.folder, self.files, self.added = folder, files, 0
        url = "duckdb:///:memory:" if files else f"duckdb:///{folder}/plant.duckdb"
        what = f"SELECT * FROM read_parquet('{folder}/*.parquet')"
        if files:
            self._write(
                'COPY (SELECT now() AS "at", 0 AS id, 0::DOUBLE AS flow WHERE false) '
                f"TO '{folder}/empty.parquet'"
            )
        else:
            self._write('CREATE TABLE readings ("at" TIMESTAMPTZ, id BIGINT, flow DOUBLE)')
        named = {"query": what} if files else {"table": "readings"}
        settings = SqlSource(url=url, time="at", key="id", **named)
        self.source = open_replayable(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        first = self.added
        self.added += len(seconds)
        rows = ", ".join(
            f"(TIMESTAMPTZ '{moment(second).isoformat()}', {first + number}, {second}.5::DOUBLE)"
            for number, second in enumerate(seconds)
        )
        if self.files:
            values = f'(SELECT * FROM (VALUES {rows}) AS rows("at", id, flow))'
            self._write(f"COPY {values} TO '{self.folder}/from_{first:04}.parquet'")
        else:
            self._write(f"INSERT INTO readings VALUES {rows}")
        return [str(number) for number in range(first, self.added)]

    def _write(self, statement: str) -> None:
        file = ":memory:" if self.files else str(self.folder / "plant.duckdb")
        with closing(duckdb.connect(file)) as connection:
            connection.execute(statement)


class PostgresqlWorld(World):
    def __init__(self, url: str, read_with: str = "driver") -> None:
        self.url = url
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute(
                "CREATE TABLE readings (at timestamptz, id bigserial PRIMARY KEY, flow float8)"
            )
        # The server trusts everybody: any password will do.
        secret = url.replace("aemon@", "aemon:hunter2@")
        settings = SqlSource(
            url=secret, table="public.readings", time="at", key="id", read_with=read_with
        )
        self.source = open_replayable(settings, clock=lambda: EPOCH)

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


class MariaDbWorld(World):
    def __init__(self, server: MariaDb, url: str) -> None:
        self.connection = server.connect(url.rpartition("/")[2])
        self._run("CREATE TABLE readings (at DATETIME(6), id SERIAL, flow DOUBLE)")
        settings = SqlSource(url=url, table="readings", time="at", key="id")
        self.source = open_replayable(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        insert = "INSERT INTO readings (at, flow) VALUES (%s, %s)"
        times = [moment(second).replace(tzinfo=None) for second in seconds]
        return [str(self._run(insert, (at, 1.5 * n))) for n, at in enumerate(times)]

    def close(self) -> None:
        super().close()
        self.connection.close()

    def _run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement; return the key of the row it made."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return int(cursor.lastrowid or 0)


class CsvWorld(World):
    """One file, or a folder in which every other record goes to a second file."""

    def __init__(self, folder: Path, *, files: int, address: str = "") -> None:
        self.files = [folder / f"{name}.csv" for name in "ab"[:files]]
        for file in self.files:
            file.write_text("at,flow\n")
        self.lines = dict.fromkeys(self.files, 1)
        self.added = 0
        path = folder if files > 1 else self.files[0]
        settings = CsvSource(path=f"{address}{path}" if address else path, time="at")
        self.source = open_replayable(settings, clock=lambda: EPOCH)

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


class ParquetWorld(World):
    """One file that is replaced by longer ones, or a folder that gets a file with every call."""

    def __init__(
        self, folder: Path, *, files: bool, keyed: bool = False, address: str = ""
    ) -> None:
        self.folder, self.files, self.keyed = folder, files, keyed
        self.rows: list[tuple[datetime, int, str]] = []
        self.calls = 0
        if not files:
            self._write("a.parquet", [])
        path = folder if files else folder / "a.parquet"
        settings = ParquetSource(
            path=f"{address}{path}" if address else path,
            time="at",
            key="id" if keyed else None,
        )
        self.source = open_replayable(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        first = len(self.rows)
        self.rows += [(moment(second), second, f"r{first + n}") for n, second in enumerate(seconds)]
        begin, name = (first, f"{self.calls:03}.parquet") if self.files else (0, "a.parquet")
        self.calls += 1
        self._write(name, self.rows[begin:])
        if self.keyed:
            return [key for _, _, key in self.rows[first:]]
        return [f"{name}:{n + 1}" for n in range(first - begin, len(self.rows) - begin)]

    def _write(self, name: str, rows: list[tuple[datetime, int, str]]) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        types = (pa.timestamp("us", "Europe/Berlin"), pa.decimal128(8, 2), pa.string())
        table = pa.table(
            [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)],
            names=["at", "flow", "id"],
        )
        pq.write_table(table, self.folder / ".new", row_group_size=3)
        (self.folder / ".new").rename(self.folder / name)


class JoinedWorld(World):
    """One file for each of two tags."""

    known_by_time = True

    def __init__(self, folder: Path) -> None:
        self.files = [folder / f"{name}.csv" for name in "ab"]
        for file in self.files:
            file.write_text("at,value\n")
        settings = CsvSource(path=folder, time="at", join="time")
        self.source = open_replayable(settings, clock=lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        for file in self.files:
            with file.open("a") as stream:
                for second in seconds:
                    stream.write(f"{moment(second).isoformat()},{second}\n")
        return [f"{moment(second):%Y-%m-%dT%H:%M:%S}Z" for second in seconds]


class LongTableWorld(World):
    """A long table of two tags; one world joins equal times, another makes buckets of a second."""

    known_by_time = True

    def __init__(self, folder: Path, *, bucket: bool, entity: bool, at_once: int) -> None:
        self.connection = sqlite3.connect(folder / "plant.db")
        self.connection.execute("CREATE TABLE long (ts, id INTEGER PRIMARY KEY, pump, tag, value)")
        how = {"bucket": {"every": "1s", "wait": timedelta(0)}} if bucket else {}
        settings = SqlSource.model_validate(
            {
                "url": f"sqlite:///{folder}/plant.db", "table": "long", "time": "ts", "key": "id",
                "entity": "pump" if entity else None,
                "pivot": {"name": "tag", "value": "value", "wait": timedelta(0)}, **how,
            }
        )  # fmt: skip
        below = SqlTable(settings)
        self.source = Readings(below, settings, lambda: EPOCH + timedelta(hours=1), at_once=at_once)

    def add(self, seconds: list[int]) -> list[str]:
        for second in seconds:
            for tag in ("flow", "pressure"):
                row = (f"{moment(second):%Y-%m-%d %H:%M:%S}", f"p{second % 3}", tag, second)
                self.connection.execute(
                    "INSERT INTO long (ts, pump, tag, value) VALUES (?, ?, ?, ?)", row
                )
        self.connection.commit()
        return [f"{moment(second):%Y-%m-%dT%H:%M:%S}Z" for second in seconds]

    def close(self) -> None:
        super().close()
        self.connection.close()


class LongFileWorld(World):
    """A long CSV file of two tags, of which buckets of a second are made."""

    known_by_time = True

    def __init__(self, folder: Path, *, at_once: int) -> None:
        self.file = folder / "long.csv"
        self.file.write_text("at,tag,value,q\n")
        settings = CsvSource.model_validate(
            {
                "path": self.file, "time": "at", "pivot": {"name": "tag", "value": "value"},
                "bucket": {"every": "1s", "wait": timedelta(0)}, "quality": {"column": "q"},
            }
        )  # fmt: skip
        below = CsvFiles(settings)
        self.source = Readings(below, settings, lambda: EPOCH + timedelta(hours=1), at_once=at_once)

    def add(self, seconds: list[int]) -> list[str]:
        with self.file.open("a") as stream:
            for second in seconds:
                for tag in ("flow", "pressure"):
                    stream.write(f"{moment(second).isoformat()},{tag},{second},192\n")
        return [f"{moment(second):%Y-%m-%dT%H:%M:%S}Z" for second in seconds]


class PrometheusWorld(World):
    """A metric of its own in a server for all; with `entity`, records of one time are of several."""

    numbers = itertools.count()
    query = "~"  # stands for the metric
    later = timedelta(0)

    def __init__(self, url: str, *, entity: bool = False) -> None:
        self.name = f"flow_{next(self.numbers)}"
        self.url = url
        self.known_by_time = not entity
        self.at: dict[int, int] = {}
        settings = PrometheusSource(
            url=url,
            step="1s",
            queries={"flow": self.query.replace("~", self.name)},
            entity="pump" if entity else None,
            history="1h",
            basic_auth={"username": "aemon", "password": self.secret},
        )
        self.source = open_replayable(settings, clock=lambda: EPOCH + timedelta(minutes=30))

    def add(self, seconds: list[int]) -> list[str]:
        for second in seconds:
            number = self.at.get(second, 0)
            self.at[second] = number + (not self.known_by_time)
            labels = {"__name__": self.name, "pump": f"p{number:02}"}
            at = moment(second) + self.later
            write(self.url, [(labels, [(at.timestamp(), second)])])
        return [f"{moment(second):%Y-%m-%dT%H:%M:%S}Z" for second in seconds]


class VictoriaWorld(PrometheusWorld):
    """The same in a VictoriaMetrics, which does not find a sample at the first moment of a day."""

    query = "last_over_time(~[999ms] offset -5h)"
    later = timedelta(hours=5)

    def add(self, seconds: list[int]) -> list[str]:
        keys = super().add(seconds)
        with urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=20):
            return keys  # now it shows what was written


class InboxWorld(World):
    """The inbox of a stream, as it is read."""

    def __init__(self, store_url: str) -> None:
        engine = open_engine(store_url)
        revisions.prepare(engine)
        self.store = Store(engine, lambda: EPOCH)
        self.store.add_monitors(["pumps"])
        self.added = 0
        self.source = InboxRecords(self.store, "pumps")

    def add(self, seconds: list[int]) -> list[str]:
        rows = [
            {"record_key": f"k{number}", "event_time": moment(second), "record": {"flow": second}}
            for number, second in enumerate(seconds, start=self.added)
        ]
        self.added += len(rows)
        keep_history(self.store, "pumps", rows, keep=1000)
        return [row["record_key"] for row in rows]

    def close(self) -> None:
        super().close()
        self.store.close()


class PushWorld(InboxWorld):
    """The inbox of a monitor to which programs push."""

    def __init__(self, store_url: str) -> None:
        super().__init__(store_url)
        source = {"kind": "push", "key": "id"}
        pumps = MonitorSettings.model_validate({"source": source, "score_every": "1m"})
        self.desk = PushDesk(self.store, lambda: {"pumps": pumps}, lambda: EPOCH)

    def add(self, seconds: list[int]) -> list[str]:
        keys = [f"k{number}" for number in range(self.added, self.added + len(seconds))]
        self.added += len(keys)
        lines = [
            json.dumps({"id": key, "time": moment(second).isoformat(), "flow": second})
            for key, second in zip(keys, seconds, strict=True)
        ]
        assert self.desk.accept("pumps", read_json_lines("\n".join(lines)), None).rejected == {}
        return keys


class RemoteWriteWorld(InboxWorld):
    """The inbox of a monitor to which a Prometheus sends samples; its inbox finishes the records."""

    known_by_time = True

    def __init__(self, store_url: str) -> None:
        super().__init__(store_url)
        source = PushSource.model_validate({"kind": "push", "remote_write": {"step": "1s"}})
        pumps = MonitorSettings.model_validate({"source": source, "score_every": "1m"})
        self.desk = PushDesk(self.store, lambda: {"pumps": pumps}, lambda: EPOCH)
        later = partial(open_stream, source, clock=lambda: EPOCH + timedelta(hours=1))
        self.inbox = Inbox(later, self.store, "pumps", keep=1000)

    def add(self, seconds: list[int]) -> list[str]:
        samples = [(moment(second).timestamp(), float(second)) for second in seconds]
        for name in ("flow", "pressure"):  # series of one record come in several requests
            body = encoded([({"__name__": name}, samples)])
            batch = self.desk.read_samples("pumps", body)
            assert self.desk.accept("pumps", batch, None).rejected == {}
        self.inbox.write_arrived()
        times = [moment(second) for second in seconds]
        return [
            f"{time.isoformat(timespec='milliseconds')} {time:%Y-%m-%dT%H:%M:%S.%f}"
            for time in times
        ]


class StreamReadingsWorld(InboxWorld):
    """The inbox of a stream of readings: two tags, of which buckets of a second make records."""

    known_by_time = True

    def __init__(self, store_url: str) -> None:
        super().__init__(store_url)
        self.clock = ManualClock(EPOCH + timedelta(hours=1))
        self.store = Store(self.store.engine, self.clock)
        self.source = InboxRecords(self.store, "pumps")
        bucket = {"every": "1s", "wait": timedelta(0)}
        pivot = {"name": "tag", "value": "value"}
        settings = PushSource.model_validate({"kind": "push", "pivot": pivot, "bucket": bucket})
        self.said = Said()
        buckets = OpenBuckets(settings, self.store, "pumps")
        self.inbox = Inbox(lambda: self.said, self.store, "pumps", 1000, buckets)

    def add(self, seconds: list[int]) -> list[str]:
        for second in seconds:
            for tag in ("flow", "pressure"):
                self.said.say(self.added, time=moment(second), tag=tag, value=second)
                self.added += 1
        self.inbox.write_arrived()
        self.clock.forward(timedelta(seconds=1))
        self.inbox.write_arrived()
        return [f"{moment(second):%Y-%m-%dT%H:%M:%S}Z" for second in seconds]


class HostWorld(StreamWorld):
    def __init__(self, _folder: Path) -> None:
        self.now = EPOCH
        settings = HostSource(sample_every=timedelta(days=1))
        assert isinstance(open_stream(settings, clock=lambda: EPOCH), Host)
        self.stream: Host = Host(settings, clock=lambda: self.now)
        self.stream.take(1)  # starts the thread, whose one reading prepares the rates
        while self.stream._earlier is None:
            time.sleep(0.001)

    def add(self, seconds: list[int]) -> list[str]:
        keys = []
        for second in seconds:
            self.now = moment(second)
            self.stream.take_record()
            keys.append(self.stream._newest_time.isoformat(timespec="microseconds"))
        return keys


class MqttWorld(StreamWorld):
    """A real broker; each message has its own key and time."""

    keeps = True

    def __init__(self, folder: Path, version: int | str) -> None:
        self.broker = Mosquitto(folder / "broker")
        self.broker.start()
        self.settings = MqttSource.model_validate(
            {
                "url": self.broker.url, "version": version, "client_id": "aemon-pumps",
                "user": "aemon", "password": "hunter2", "topics": {"plant/+": {"flow": "$.flow"}},
                "time": "$.ts", "key": "$.id",
            }
        )  # fmt: skip
        self.added = 0
        self.listen([])

    def listen(self, notes: Sequence[str]) -> None:
        self.stream = open_stream(self.settings, clock=lambda: EPOCH)
        self.stream.resume(notes, lambda: None)
        self.link = self.stream._connection
        self.link.listen("aemon-pumps", keep_session=True)
        self.wait(lambda: self.link.subscribed_since)

    def add(self, seconds: Sequence[int]) -> list[str]:
        before = len(self.link.deliveries._waiting)
        keys = [f"k{number}" for number in range(self.added, self.added + len(seconds))]
        self.added += len(keys)
        with publisher(self.broker.port) as publishing:
            publishing.say_all(
                (
                    "plant/p1",
                    json.dumps({"id": key, "ts": moment(second).isoformat(), "flow": second}),
                )
                for key, second in zip(keys, seconds, strict=True)
            )
        self.wait(lambda: len(self.link.deliveries._waiting) == before + len(keys))
        return keys

    def crash(self, notes: Sequence[str], acknowledged: int) -> None:
        self.wait(lambda: not self.link._client.want_write())
        cut(self.link)
        self.listen(notes)
        waiting = self.added - acknowledged
        self.wait(lambda: len(self.link.deliveries._waiting) == waiting)

    def wait(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not done():
            assert time.monotonic() < deadline, self.link.problem
            time.sleep(0.005)

    def close(self) -> None:
        super().close()
        self.broker.kill()


class KafkaWorld(StreamWorld):
    """The mock of a cluster; each message has its own key and time."""

    keeps = True

    def __init__(self, _folder: Path) -> None:
        self.cluster = MockCluster()
        self.settings = KafkaSource.model_validate(
            {
                "servers": self.cluster.servers, "topics": "readings", "group": "pumps",
                "values": {"flow": "$.flow"}, "time": "$.ts",
            }
        )  # fmt: skip
        self.added = 0
        self.listen([])

    def listen(self, notes: Sequence[str]) -> None:
        self.stream = open_stream(self.settings, clock=lambda: EPOCH)
        self.stream.resume(notes, lambda: None)
        self.member = self.stream._member
        with quick_sessions():
            self.member.start()
            wait_for(lambda: self.member.assigned)

    def add(self, seconds: Sequence[int]) -> list[str]:
        before = len(self.member.waiting)
        keys = [f"readings/0/{self.added + number}" for number in range(len(seconds))]
        self.added += len(keys)
        self.cluster.say(
            *(json.dumps({"ts": moment(second).isoformat(), "flow": second}) for second in seconds)
        )
        wait_for(lambda: len(self.member.waiting) == before + len(keys))
        return keys

    def crash(self, notes: Sequence[str], acknowledged: int) -> None:
        self.member.commits = acknowledged > 0
        self.stream.close()
        self.listen(notes)
        wait_for(lambda: len(self.member.waiting) == self.waiting_after(notes, acknowledged))

    def waiting_after(self, notes: Sequence[str], acknowledged: int) -> int:
        """How many messages come again: what a note knows is not even asked for."""
        noted = max((json.loads(note)["next"]["readings"]["0"] for note in notes), default=0)
        return self.added - max(noted, acknowledged)

    def close(self) -> None:
        super().close()
        self.cluster.close()


class OpcUaWorld(StreamWorld):
    """A real server, shared by all worlds; each record is a bucket of its own."""

    server: ClassVar[OpcUaServer | None] = None
    numbers = itertools.count(100)  # a value that stays is not reported again

    def __init__(self, _folder: Path) -> None:
        if OpcUaWorld.server is None:
            OpcUaWorld.server = OpcUaServer()
            OpcUaWorld.server.start()
            atexit.register(OpcUaWorld.server.kill)
        self.now = EPOCH
        settings = OpcUaSource.model_validate(
            {
                "url": self.server.url, "nodes": {"Plant/Pump1/Flow": "flow"}, "bucket": "1s",
                "wait": "1s", "user": "aemon", "password": self.secret,
                "clear_text_password": True,
            }
        )  # fmt: skip
        self.stream = open_stream(settings, clock=lambda: self.now)
        self.stream.resume([], lambda: None)
        self.stream.take(1)
        self.listener = self.stream._listener
        wait_for(lambda: self.listener.is_connected and self.listener._buckets._states)
        self.added = 0

    def add(self, seconds: Sequence[int]) -> list[str]:
        times = [moment(self.added + number) for number in range(1, len(seconds) + 1)]
        self.added += len(times)
        for at in times:
            self.server.write("Pump1.Flow", float(next(self.numbers)), at)
        wait_for(lambda: self.listener._buckets.open_cells == len(times))
        self.now = times[-1] + timedelta(seconds=2)
        wait_for(partial(self.is_closed, times[-1]))
        self.now = times[-1] + timedelta(seconds=1)
        return [at.isoformat() for at in times]

    def is_closed(self, at: datetime) -> bool:
        """Close what is over; return whether the bucket of a time is closed."""
        self.listener._close_buckets()
        return self.listener._buckets._next > at


WORLDS = {
    "sql text time": lambda ask, folder: SqliteWorld(folder, "text"),
    "sql integer time": lambda ask, folder: SqliteWorld(folder, "integer"),
    "sql real time": lambda ask, folder: SqliteWorld(folder, "real"),
    "sql query": lambda ask, folder: SqliteWorld(folder, "text", query=True),
    "sql postgresql": lambda ask, folder: PostgresqlWorld(ask("postgres_url")),
    "sql postgresql adbc": lambda ask, folder: PostgresqlWorld(ask("postgres_url"), "adbc"),
    "sql duckdb": lambda ask, folder: DuckDbWorld(folder, files=False),
    "sql duckdb parquet": lambda ask, folder: DuckDbWorld(folder, files=True),
    "sql mariadb": lambda ask, folder: MariaDbWorld(ask("mariadb_server"), ask("mariadb_url")),
    "csv file": lambda ask, folder: CsvWorld(folder, files=1),
    "csv folder": lambda ask, folder: CsvWorld(folder, files=2),
    "csv address": lambda ask, folder: CsvWorld(folder, files=2, address="file://"),
    "csv joined": lambda ask, folder: JoinedWorld(folder),
    "parquet file": lambda ask, folder: ParquetWorld(folder, files=False),
    "parquet keyed": lambda ask, folder: ParquetWorld(folder, files=False, keyed=True),
    "parquet folder": lambda ask, folder: ParquetWorld(folder, files=True),
    "parquet address": lambda ask, folder: ParquetWorld(folder, files=True, address="file://"),
    "long table": lambda ask, folder: LongTableWorld(
        folder, bucket=True, entity=False, at_once=20_000
    ),
    "long table joined": lambda ask, folder: LongTableWorld(
        folder, bucket=False, entity=False, at_once=3
    ),
    "long table entities": lambda ask, folder: LongTableWorld(
        folder, bucket=True, entity=True, at_once=3
    ),
    "long file": lambda ask, folder: LongFileWorld(folder, at_once=20_000),
    "long file in pieces": lambda ask, folder: LongFileWorld(folder, at_once=3),
    "prometheus": lambda ask, folder: PrometheusWorld(ask("prometheus_url")),
    "prometheus entities": lambda ask, folder: PrometheusWorld(ask("prometheus_url"), entity=True),
    "victoria": lambda ask, folder: VictoriaWorld(ask("victoria_url")),
    "victoria entities": lambda ask, folder: VictoriaWorld(ask("victoria_url"), entity=True),
    "inbox": lambda ask, folder: InboxWorld(f"sqlite:///{folder}/aemon.db"),
    "push": lambda ask, folder: PushWorld(f"sqlite:///{folder}/aemon.db"),
    "remote write": lambda ask, folder: RemoteWriteWorld(f"sqlite:///{folder}/aemon.db"),
    "stream of readings": lambda ask, folder: StreamReadingsWorld(f"sqlite:///{folder}/aemon.db"),
    "stream of readings postgresql": lambda ask, folder: StreamReadingsWorld(ask("postgres_url")),
    "inbox postgresql": lambda ask, folder: InboxWorld(ask("postgres_url")),
}
STREAM_WORLDS = {
    "host": HostWorld,
    "mqtt": lambda folder: MqttWorld(folder, 5),
    "mqtt 3.1.1": lambda folder: MqttWorld(folder, "3.1.1"),
    "kafka": KafkaWorld,
    "opcua": OpcUaWorld,
}
