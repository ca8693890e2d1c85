"""The demo's working folder: an ordinary `aemon.yaml` and the plant's empty database."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aemon.demo.demo_sources import DemoSource
from aemon.demo.plant_database import open_plant_database

DEFAULT_PORT: Final = 9464

PLANT_TOPICS: Final = "plant/+/state"

_HEAD = """\
# Written by `aemon demo`. An ordinary configuration: copy it and name your own {own}.
store: sqlite:///{folder}/aemon.db

http:
  listen: 127.0.0.1:{port}

monitors:
"""

_SQL = """\
  # The simulated plant: four pumps, each reporting ten times a second.
  pumps:
    source:
      kind: sql
      url: sqlite:///{folder}/plant.db
      table: readings
      time: ts
      key: id
      entity: pump_id
"""

_MQTT = """\
  # The simulated plant: four pumps, each sending ten messages a second to a broker.
  pumps:
    source:
      kind: mqtt
      url: mqtt://127.0.0.1:{server_port}
      topics:
        plant/+/state:                    # plant/p1/state {{"ts": ..., "flow": 61.2, ...}}
          flow: $.flow
          pressure: $.pressure
          temperature: $.temperature
          vibration: $.vibration
          current: $.current
          valve: $.valve
      entity: 1                           # level 1 of the topic, counted from 0: p1
      time: $.ts
"""

_PROMETHEUS = """\
  # The simulated plant: forty pumps; Prometheus scrapes their exporter.
  pumps:
    source:
      kind: prometheus
      url: http://127.0.0.1:{server_port}
      step: 1s
      delay: 1s
      history: 10m
      entity: pump
      queries:
        flow: pump_flow
        pressure: pump_pressure
        temperature: pump_temperature
        vibration: pump_vibration
        current: pump_current
        throttled: pump_valve_throttled
"""

_REST = """\
    score_every: 1s
    train_every: 1d
{min_records}
    threshold: {{false_alarm_rate: 0.0005}} # of normal records; about one a minute here
    life: {{recalibrate: false}}            # the plant has too many faults for a recalibration

  # The machine on which this demo runs.
  host:
    source:
      kind: host
      sample_every: 250ms
    score_every: 1s
    train_every: 1d
    min_records: 200
    threshold: {{alarm_budget: 24/day}}      # the target rate as a number of alarms a day
"""

_MIN_RECORDS = (
    "    min_records: 1000                     # training records, which are not judged: 25 s"
)
_FEWER_RECORDS = (
    "    min_records: 500                      # training records, which are not judged: 13 s"
)

_SOURCES: Final = {
    DemoSource.SQL: ("table", _SQL, _MIN_RECORDS),
    DemoSource.MQTT: ("broker", _MQTT, _MIN_RECORDS),
    DemoSource.PROMETHEUS: ("server", _PROMETHEUS, _FEWER_RECORDS),
}
"""Source -> the word that ends "name your own ...", the source's settings, and `min_records`."""

_QUERY = (
    "SELECT event_time, entity, severity, reason"
    " FROM flagged_records ORDER BY event_time DESC LIMIT 5"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoFiles:
    """The files and the port of a demo; every path is absolute."""

    folder: Path
    port: int
    source: DemoSource = DemoSource.SQL
    server_port: int = 0  # port of the broker or of Prometheus
    exporter_port: int = 0  # port of the exporter that Prometheus scrapes

    @property
    def config(self) -> Path:
        """The configuration of the daemon."""
        return self.folder / "aemon.yaml"

    @property
    def plant_database(self) -> Path:
        """The database that the plant writes and the daemon reads."""
        return self.folder / "plant.db"

    @property
    def plant_url(self) -> str:
        """The URL of the plant's database."""
        return f"sqlite:///{self.plant_database}"

    @property
    def results_database(self) -> Path:
        """The results database that the daemon writes and people query."""
        return self.folder / "aemon.db"

    @property
    def http_address(self) -> str:
        """The URL at which the daemon serves its pages."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ThingsToTry:
    """Three things to try: a SQL query, the metrics, and the status page."""

    sql: str
    metrics_url: str
    status_url: str


def write_demo_files(
    folder: Path,
    *,
    port: int = DEFAULT_PORT,
    source: DemoSource = DemoSource.SQL,
    server_port: int = 0,
    exporter_port: int = 0,
) -> DemoFiles:
    """Write the configuration and the plant's empty tables into a folder, which is made if missing.

    The tables are made here, so that they exist even if the daemon starts before the plant.

    Raises:
        SourceConfigError: the folder cannot hold the plant's database.
        OSError: the folder or the configuration cannot be written.
    """
    files = DemoFiles(
        folder=folder.resolve(),
        port=port,
        source=source,
        server_port=server_port,
        exporter_port=exporter_port,
    )
    files.folder.mkdir(parents=True, exist_ok=True)
    own, part, min_records = _SOURCES[source]
    text = (_HEAD + part + _REST).format(
        own=own, folder=files.folder, port=port, server_port=server_port, min_records=min_records
    )
    files.config.write_text(text, encoding="utf-8")
    open_plant_database(files.plant_database).close()
    return files


def things_to_try(files: DemoFiles, *, sqlite3_command: str | None, python: str) -> ThingsToTry:
    """Return three things to try. The SQL query runs in the command `sqlite3`, or else in Python.

    Args:
        files: the files of the demo.
        sqlite3_command: the command `sqlite3`; None if it is not installed.
        python: the path of the Python interpreter.
    """
    database = str(files.results_database)
    if sqlite3_command:
        sql = f'{sqlite3_command} -box {shlex.quote(database)} "{_QUERY}"'
    else:
        code = (
            "import sqlite3;"
            f" [print(*row) for row in sqlite3.connect({database!r}).execute({_QUERY!r})]"
        )
        sql = f"{shlex.quote(python)} -c {_quoted(code)}"
    return ThingsToTry(
        sql=sql,
        metrics_url=f"{files.http_address}/metrics",
        status_url=f"{files.http_address}/",
    )


def _quoted(code: str) -> str:
    """Return Python code quoted for the shell, in double quotes if these are safe."""
    return shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'
