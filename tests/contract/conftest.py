"""Servers that worlds share."""

import subprocess
import time

import pytest

from tests.lacking import needs_program
from tests.processes import free_port, is_healthy
from tests.remote_write import written_prometheus


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory):
    with written_prometheus(tmp_path_factory.mktemp("prometheus"), lookback="900ms") as server:
        yield server.url


@pytest.fixture(scope="session")
def victoria_url(tmp_path_factory):
    binary = needs_program("victoria-metrics", "victoria-metrics")
    folder, place = tmp_path_factory.mktemp("victoria"), f"127.0.0.1:{free_port()}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary, f"-storageDataPath={folder}/data", f"-httpListenAddr={place}",
                "-retentionPeriod=100y", "-loggerLevel=WARN",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 40
        while not is_healthy(f"http://{place}"):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://{place}"
    finally:
        process.kill()
        process.wait()
