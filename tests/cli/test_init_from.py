"""`aemon init --from`: a configuration written on looking at a source, which loads and reads it."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from aemon.config.loading import load_config
from aemon.errors import ExitCode
from tests.cli.commands import run
from tests.processes import free_port
from tests.prometheus import prometheus

START = datetime.fromisoformat("2026-03-20T00:00:00")


def sources_of(folder, env=None):
    config = load_config(folder / "aemon.yaml", env or {})
    return {name: monitor.source for name, monitor in config.monitors.items()}


def test_a_database_gives_a_monitor_for_each_table_with_times(tmp_path):
    with closing(sqlite3.connect(tmp_path / "plant.db")) as connection:
        connection.execute(
            "CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, pump TEXT, flow REAL)"
        )
        connection.execute('CREATE TABLE "odd ${X} # name" ("the: time" INTEGER, v REAL)')
        connection.execute("CREATE TABLE pumps (name TEXT PRIMARY KEY, installed TEXT)")
        for number in range(50):
            at = START + timedelta(seconds=15 * number)
            for pump in ("p1", "p2"):
                connection.execute(
                    "INSERT INTO readings (ts, pump, flow) VALUES (?, ?, ?)",
                    (at.isoformat(" "), pump, number),
                )
            connection.execute(
                'INSERT INTO "odd ${X} # name" VALUES (?, ?)', (round(at.timestamp()), number)
            )
        connection.execute("INSERT INTO pumps VALUES ('p1', '2020-05-01')")
        connection.commit()
    told = run(tmp_path, "init", "--from", "plant.db").stdout
    assert "correct the guesses that are wrong, then run `aemon check" in told
    text = (tmp_path / "aemon.yaml").read_text()
    assert "key: id # the primary key" in text
    assert "# distinguishes records of the same time; 2 different values" in text
    assert "# Found, but not watched: pumps" in text
    assert "times have no zone" in text
    found = sources_of(tmp_path)
    readings = found["readings"]
    assert (readings.table, readings.time, readings.key, readings.entity) == (
        "readings", "ts", "id", "pump",
    )  # fmt: skip
    odd = next(source for name, source in found.items() if name != "readings")
    assert (odd.table, odd.time) == ("odd ${X} # name", "the: time")
    assert "100 records were read" in run(tmp_path, "check", "readings").stdout


def test_a_file_gives_its_separator_its_times_and_its_entity(tmp_path):
    lines = ["Export of plant 7", "Datum;Uhrzeit;Anlage;Druck"]
    for number in range(300):
        at = START + timedelta(minutes=number // 2)
        lines.append(f"{at:%d.%m.%Y};{at:%H:%M:%S};K{number % 2};{number * 7919 % 83}")
    (tmp_path / "export.txt").write_text("\n".join(lines) + "\n")
    run(tmp_path, "init", "--from", "export.txt")
    source = sources_of(tmp_path)["export"]
    assert (source.separator, source.time, source.entity) == (";", ("Datum", "Uhrzeit"), "Anlage")
    assert "300 records were read" in run(tmp_path, "check").stdout


def test_labels_are_left_out_of_what_is_learned(tmp_path):
    lines = ["ts,flow,Anomaly,fault_type,class_size"]
    for number in range(300):
        at = START + timedelta(minutes=number)
        lines.append(
            f"{at:%Y-%m-%dT%H:%M:%SZ},{number * 7919 % 83},{number % 9 == 0:d},none,{number}"
        )
    (tmp_path / "export.csv").write_text("\n".join(lines) + "\n")
    run(tmp_path, "init", "--from", "export.csv")
    config = load_config(tmp_path / "aemon.yaml")
    assert config.monitors["export"].columns.exclude == ("Anomaly", "fault_type")


def test_parquet_files_give_their_times_and_their_entity(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    for day in range(2):
        at = [START + timedelta(days=day, minutes=n // 2) for n in range(300)]
        pumps = [f"K{n % 2}" for n in range(300)]
        values = [float(n * 7919 % 83) for n in range(300)]
        table = pa.table({"at": at, "pump": pumps, "pressure": values})
        pq.write_table(table, folder / f"{day}.parquet")
    run(tmp_path, "init", "--from", "lake")
    source = sources_of(tmp_path)["lake"]
    assert (source.kind, source.time, source.entity) == ("parquet", "at", "pump")
    assert "2 files are read" in (tmp_path / "aemon.yaml").read_text()
    assert "600 records were read" in run(tmp_path, "check").stdout


def test_a_prometheus_gives_its_jobs_with_rates_of_counters(tmp_path):
    registry = CollectorRegistry()
    Gauge("queue_length", "x", registry=registry).set(3)
    Gauge("worker_load", "x", ["worker"], registry=registry).labels("w1").set(1)
    load = Gauge("disk_load", "x", ["disk"], registry=registry)
    for disk in "abc":
        load.labels(disk).set(1)
    Counter("requests", "x", registry=registry).inc()
    Histogram("latency_seconds", "x", registry=registry).observe(1)
    port = free_port()
    server, _ = start_http_server(port, "127.0.0.1", registry)
    with prometheus(tmp_path / "prometheus", [f"127.0.0.1:{port}"]) as watching:
        watching.wait(
            lambda: watching.value("sum(count_over_time(up[1m]))") is not None, "a scrape"
        )
        watching.wait(lambda: watching.value("sum(count_over_time(up[1m]))") > 2, "more")
        run(tmp_path, "init", "--from", f"{watching.url}/")
        source = sources_of(tmp_path)["aemon"]
        told = run(tmp_path, "check").stdout
    server.shutdown()
    server.server_close()
    assert (source.url, source.entity) == (watching.url, "instance")
    assert source.step == timedelta(seconds=5)
    assert source.queries["queue_length"] == 'queue_length{job="aemon"}'
    assert source.queries["disk_load"] == 'avg by (instance) (disk_load{job="aemon"})'
    rate = 'sum by (instance) (rate(requests_total{job="aemon"}[60s]))'
    assert source.queries["requests"] == rate
    assert source.queries["latency_seconds_mean"].count("rate(") == 2
    assert not [name for name in source.queries if "bucket" in name or "created" in name]
    assert "queries every 5s, by instance" in told


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("nope.csv", ExitCode.CONFIG, "no such file or folder"),
        ("empty.db", ExitCode.SOURCE, "no table or view has a column of times"),
        ("words.csv", ExitCode.SOURCE, "separates its fields"),
        ("numbers.csv", ExitCode.SOURCE, "no column holds times"),
        ("http://127.0.0.1:9/x", ExitCode.SOURCE, "Connection refused"),
        ("http://u:hunter2@127.0.0.1:9", ExitCode.SOURCE, "has a user or a password in it"),
        ("postgresql://u:hunter2@127.0.0.1:9/x", ExitCode.SOURCE, "onnection"),
        ("nosuch://x/y", ExitCode.SOURCE, "names a kind of database that SQLAlchemy does not know"),
    ],
)
def test_what_cannot_be_looked_at_is_told_and_nothing_written(tmp_path, place, code, words):
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE t (a REAL)").connection.close()
    (tmp_path / "words.csv").write_text("just\nsome\nwords\n")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    told = run(tmp_path, "init", "--from", place, code=code).stderr
    assert words in told
    assert "hunter2" not in told
    assert not (tmp_path / "aemon.yaml").exists()


@pytest.mark.postgresql
def test_a_password_is_not_written(tmp_path, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE r (at timestamptz, id bigserial PRIMARY KEY, v float8)")
        connection.execute(
            "INSERT INTO r (at, v) SELECT now() - n * interval '1 minute', n FROM generate_series(1, 50) n"
        )
    # The server trusts everybody: any password will do.
    run(tmp_path, "init", "--from", postgres_url.replace("aemon@", "aemon:hunter2@"))
    text = (tmp_path / "aemon.yaml").read_text()
    assert "hunter2" not in text
    assert "# set SOURCE_PASSWORD in the environment" in text
    source = sources_of(tmp_path, {"SOURCE_PASSWORD": "other"})["r"]
    assert ":other@" in source.url.get_secret_value()
