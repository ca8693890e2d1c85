"""The servers that the demo starts on this machine if it needs them: mosquitto or Prometheus."""

import importlib.util
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aemon.demo.demo_sources import DemoSource
from aemon.demo.files import PLANT_TOPICS, DemoFiles
from aemon.errors import ExitCode, PermanentError

_LOOPBACK = "127.0.0.1"
_NOT_ON_PATH = ("/usr/sbin", "/usr/local/sbin")
"""Folders in which Debian installs mosquitto; the PATH of ordinary users lacks these folders."""

_PACKAGES: Final = {DemoSource.MQTT: "mosquitto", DemoSource.PROMETHEUS: "prometheus"}
"""Source -> the program of its server; Debian's package has the same name."""

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
log_dest stderr
log_type error
log_type warning
log_type subscribe
"""

_PROMETHEUS = """\
global: {{scrape_interval: 500ms}}
scrape_configs:
  - job_name: plant
    static_configs: [{{targets: ['127.0.0.1:{exporter_port}']}}]
"""


class MissingProgramError(PermanentError):
    """A program or library that the demo needs for a source is not installed."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server that the demo starts.

    Attributes:
        command: the program and its arguments.
        log: the file for the output of the server.
        note: a sentence for the screen that shows a person how to see the data in the server.
    """

    source: DemoSource
    command: tuple[str, ...]
    port: int
    log: Path
    note: str

    @property
    def name(self) -> str:
        """The name of the program."""
        return _PACKAGES[self.source]

    def is_ready(self) -> bool:
        """Return whether the server answers."""
        try:
            if self.source is DemoSource.PROMETHEUS:
                ready = f"http://{_LOOPBACK}:{self.port}/-/ready"
                urllib.request.urlopen(ready, timeout=1).close()
            else:
                socket.create_connection((_LOOPBACK, self.port), 1).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def has_reader(self) -> bool:
        """Return whether the log of the broker says that the daemon has subscribed."""
        return f" {PLANT_TOPICS}\n" in self.log.read_text(encoding="utf-8", errors="replace")


def check_programs(source: DemoSource) -> None:
    """Check that the programs and libraries that the demo needs for a source are installed.

    Raises:
        MissingProgramError: a server or a client library is not installed, or not on PATH.
    """
    if source is DemoSource.SQL:
        return
    _program(source)
    if source is DemoSource.MQTT and importlib.util.find_spec("paho") is None:
        raise MissingProgramError(
            "the demo with --source mqtt needs paho-mqtt, which is not installed",
            todo="pip install 'aemon[mqtt]'",
        )


def prepare_server(files: DemoFiles) -> Server | None:
    """Write the configuration of the server that the demo needs, and return the server.

    Return None if the demo's source needs no server.

    Raises:
        MissingProgramError: the server is not on PATH.
        OSError: the folder for the configuration cannot be written.
    """
    if files.source is DemoSource.SQL:
        return None
    program = _program(files.source)
    folder = files.folder / _PACKAGES[files.source]
    folder.mkdir(mode=0o700, exist_ok=True)
    port = files.server_port
    if files.source is DemoSource.MQTT:
        config = folder / "mosquitto.conf"
        config.write_text(_MOSQUITTO.format(port=port), encoding="utf-8")
        command: tuple[str, ...] = (program, "-c", str(config))
        note = f"to see the messages: mosquitto_sub -p {port} -t 'plant/#' -v"
    else:
        config = folder / "prometheus.yml"
        config.write_text(_PROMETHEUS.format(exporter_port=files.exporter_port), encoding="utf-8")
        command = (
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={_LOOPBACK}:{port}",
        )
        note = f"to see the metrics: http://{_LOOPBACK}:{port}/graph"
    return Server(
        source=files.source, command=command, port=port, log=folder / "server.log", note=note
    )


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports of this machine.

    Raises:
        OSError: there are not enough free ports.
    """
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((_LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _program(source: DemoSource) -> str:
    """Return the path of a server's program."""
    package = _PACKAGES[source]
    found = shutil.which(package)
    if found is not None:
        return found
    elsewhere = shutil.which(package, path=":".join(_NOT_ON_PATH))
    todo = f"apt-get install {package}"
    if elsewhere is not None:
        todo = (
            f"it is installed as {elsewhere}; run: PATH=$PATH:{Path(elsewhere).parent} "
            f"aemon demo --source {source}"
        )
    raise MissingProgramError(
        f"the demo with --source {source} needs the program {package}, which is not on PATH",
        todo=todo,
    )
