import shlex
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from aemon.config.schema import Config
from aemon.demo.demo_sources import DemoSource
from aemon.demo.files import PLANT_TOPICS, DemoFiles, things_to_try, write_demo_files
from aemon.demo.plant import COLUMNS
from aemon.demo.plant_outputs import METRIC, VALVE_METRIC
from aemon.sources.host.settings import HostSource
from aemon.sources.sql.settings import SqlSource


@pytest.fixture
def files(tmp_path):
    return write_demo_files(tmp_path / "a demo", port=12345)


def test_the_configuration_is_an_ordinary_one(files):
    config = Config.model_validate(yaml.safe_load(files.config.read_text()))
    assert config.store.get_secret_value() == f"sqlite:///{files.results_database}"
    assert config.http.listen == "127.0.0.1:12345"
    pumps, host = config.monitors["pumps"], config.monitors["host"]
    assert isinstance(pumps.source, SqlSource)
    assert pumps.source.url.get_secret_value() == files.plant_url
    assert pumps.source.entity == "pump_id"
    assert pumps.min_records == 1000
    assert pumps.threshold.false_alarm_rate == 0.0005
    assert isinstance(host.source, HostSource)
    assert host.source.sample_every == timedelta(milliseconds=250)
    assert host.min_records == 200


def test_a_broker_and_a_prometheus_give_the_same_columns(tmp_path):
    found = {}
    for source in (DemoSource.MQTT, DemoSource.PROMETHEUS):
        files = write_demo_files(tmp_path, source=source, server_port=4321, exporter_port=4322)
        monitor = Config.model_validate(yaml.safe_load(files.config.read_text())).monitors["pumps"]
        found[source] = monitor.source
        assert urlsplit(monitor.source.url).netloc == "127.0.0.1:4321"
        assert monitor.threshold.false_alarm_rate == 0.0005
    mqtt, prometheus = found.values()
    assert list(mqtt.topics) == [PLANT_TOPICS]
    assert list(mqtt.topics[PLANT_TOPICS]) == [*COLUMNS, "valve"]
    assert list(prometheus.queries) == [*COLUMNS, "throttled"]
    assert prometheus.queries["flow"] == METRIC.format(column="flow")
    assert prometheus.queries["throttled"] == VALVE_METRIC


def test_the_plants_table_is_there_before_the_plant(files):
    connection = sqlite3.connect(files.plant_database)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(readings)")]
    connection.close()
    assert columns[:3] == ["id", "ts", "pump_id"]


def test_a_folder_can_hold_a_second_demo(files):
    again = write_demo_files(files.folder, port=12346)
    assert "127.0.0.1:12346" in again.config.read_text()


@pytest.mark.parametrize("folder", ["plain", "with space", 'quo"ted'])
def test_the_sql_to_try_works_without_a_sqlite3_command(tmp_path, folder):
    files = DemoFiles(folder=tmp_path / folder, port=1)
    files.folder.mkdir()
    connection = sqlite3.connect(files.results_database)
    connection.execute(
        "CREATE VIEW flagged_records AS SELECT 'now' AS event_time, 'p1' AS entity,"
        " 'critical' AS severity, 'flow 1, expected 2' AS reason"
    )
    connection.close()
    sql = things_to_try(files, sqlite3_command=None, python=sys.executable).sql
    shown = subprocess.run(["sh", "-c", sql], capture_output=True, text=True, check=True).stdout
    assert shown == "now p1 critical flow 1, expected 2\n"


def test_the_things_to_try_name_this_demo():
    files = DemoFiles(folder=Path("/demo"), port=5)
    things = things_to_try(files, sqlite3_command="sqlite3", python="python")
    assert shlex.split(things.sql)[:3] == ["sqlite3", "-box", "/demo/aemon.db"]
    assert things.metrics_url == "http://127.0.0.1:5/metrics"
    assert things.status_url == "http://127.0.0.1:5/"
