"""A throw-away MariaDB server for tests, Debian's.

`conftest.py` imports the fixtures `mariadb_server` and `mariadb_url`. Without the server or PyMySQL,
tests that ask for it are skipped, and in CI they fail.
"""

import importlib.util
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lacking import lacking, needs_program
from tests.processes import free_port

_SERVER = "/usr/sbin/mariadbd"  # Debian has it where not everybody looks
_PACKAGE = "mariadb-server"
_START_SECONDS = 60
_USER, _PASSWORD = "aemon", "hunter2"


@dataclass(frozen=True, kw_only=True)
class MariaDb:
    """A server with a user `aemon` that may read and write the databases made here."""

    port: int

    def connect(self, database: str | None = None) -> Any:
        """Open a connection as the administrator; each statement is committed at once."""
        import pymysql

        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True
        )

    def run(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator, and return its rows."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def url(self, database: str) -> str:
        return f"mysql+pymysql://{_USER}:{_PASSWORD}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server for all tests of a session."""
    if importlib.util.find_spec("pymysql") is None:
        lacking("PyMySQL (pip install 'aemon[mysql]')")
    binary = _SERVER if Path(_SERVER).exists() else needs_program("mariadbd", _PACKAGE)
    install = shutil.which("mariadb-install-db") or needs_program("mariadb-install-db", _PACKAGE)
    folder = tmp_path_factory.mktemp("mariadb")
    data, log, server = folder / "data", folder / "log", MariaDb(port=free_port())
    root = ["--user=root"] if os.geteuid() == 0 else []
    made = subprocess.run(
        [
            install, "--no-defaults", f"--datadir={data}", "--skip-test-db",
            "--auth-root-authentication-method=normal", *root,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                binary, "--no-defaults", f"--datadir={data}", f"--socket={folder / 's'}",
                f"--port={server.port}", "--bind-address=127.0.0.1", *root,
                "--innodb-flush-log-at-trx-commit=0", "--default-time-zone=+00:00",
            ],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _wait(server, process, log)
        server.run(f"CREATE USER {_USER} IDENTIFIED BY '{_PASSWORD}'")
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def mariadb_url(mariadb_server: MariaDb) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    mariadb_server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    mariadb_server.run(f"GRANT ALL ON {name}.* TO {_USER}")
    yield mariadb_server.url(name)
    mariadb_server.run(f"DROP DATABASE {name}")


def _wait(server: MariaDb, process: subprocess.Popen[bytes], log: Path) -> None:
    import pymysql

    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        try:
            server.connect().close()
        except pymysql.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
