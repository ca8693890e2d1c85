"""A real daemon as a process, for tests."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lacking import lacking


def aemon(
    *arguments: str, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "aemon", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """End a process that still runs at the end: a failed test must not wait for it for ever."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(url: str) -> bool:
    """Whether a Prometheus or an Alertmanager says that it is."""
    return _answers(f"{url}/-/ready")


def is_healthy(url: str) -> bool:
    """Whether a VictoriaMetrics says that it is."""
    return _answers(f"{url}/health")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


class Daemon:
    """`aemon run` in a folder with `monitors` as YAML text; results in aemon.db beside it.

    `settings` are more lines of its configuration, `http` more keys of that section.
    """

    def __init__(
        self,
        folder: Path,
        monitors: str,
        *,
        store: str | None = None,
        prefix: tuple[str, ...] = (),
        settings: str = "",
        http: str = "",
    ) -> None:
        self.folder = folder
        self.prefix = prefix  # the command that brings it to where the store can be seen
        self.port = free_port()
        self.store = store or f"sqlite:///{folder}/aemon.db"
        self.config = folder / "aemon.yaml"
        self.config.write_text(
            f"store: {self.store}\nhttp: {{listen: 127.0.0.1:{self.port}, {http}}}\n"
            f"log: {{format: json}}\n{settings}\nmonitors:\n{monitors}"
        )
        self.log = folder / "daemon.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        self.launch()
        self.wait(lambda: self.get("/healthz") is not None, "the daemon to be ready")

    def launch(self) -> None:
        """Start without waiting for it to be ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "aemon", "run", "-c", str(self.config)],
                stdout=log, stderr=log, env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL: no time for a last word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """SIGTERM; seconds until it was gone. It must have ended well."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # every thread's stack goes into the log
            self.process.wait()
            raise AssertionError(self.log.read_text()[-8000:]) from None
        assert code == 0, self.log.read_text()
        return time.monotonic() - began

    def get(self, path: str) -> str | None:
        """A page, or None while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def metric(self, line: str) -> float:
        """The value of one series, 0 if it is not there."""
        for text in (self.get("/metrics") or "").splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
        return 0.0

    def ticks(self) -> int:
        """How many scoring ticks it has counted, whatever became of them."""
        page = (self.get("/metrics") or "").splitlines()
        ours = [x for x in page if x.startswith("aemon_runs_total{") and 'run="score"' in x]
        return round(sum(float(line.rsplit(" ", 1)[1]) for line in ours))

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the SQLite store; an empty answer while it is being made."""
        connection = sqlite3.connect(self.folder / "aemon.db", timeout=10)
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def wait(
        self, done: Callable[[], bool], what: str, seconds: float = 90, *, every: float = 0.1
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            ended = self.process.poll()
            assert ended is None, f"the daemon ended ({ended}):\n{self.log.read_text()}"
            assert time.monotonic() < deadline, (
                f"waited for {what}:\n{self.log.read_text()[-4000:]}"
            )
            time.sleep(every)


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a few megabytes, mounted where only its own processes can see it."""

    folder: Path  # as they see it
    outside: Path  # as everybody else does
    prefix: tuple[str, ...]  # the command that makes a process one of them

    def fill(self, left: int) -> None:
        """Leave only so many bytes."""
        free = shutil.disk_usage(self.outside).free
        (self.outside / "ballast").write_bytes(bytes(max(0, free - left)))

    def empty(self) -> None:
        """Make room again."""
        (self.outside / "ballast").unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A small disk at a folder, for which nobody need be root."""
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={megabytes}m,mode=0755 tmpfs "$0" && echo mounted && exec cat'
    # It goes when the last process does that sees it: the `cat`, when this one closes its input.
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        said = holder.stdout.readline()
        if said != "mounted\n":
            lacking(f"a user namespace to mount a small disk in ({said.strip()})")
        target = ("--target", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        outside = Path(f"/proc/{holder.pid}/root") / folder.relative_to("/")
        here = f"--wd={Path.cwd()}"
        yield SmallDisk(folder, outside, ("nsenter", *target, here, "--"))
    finally:
        holder.stdin.close()
        holder.wait(30)
        holder.stdout.close()


def sql_source(database: Path, table: str = "readings", **more: str) -> str:
    """A source in YAML's short form."""
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{kind: sql, url: 'sqlite:///{database}', table: {table}, time: ts, key: id{extra}}}"


def make_table(database: Path, table: str, columns: Sequence[str]) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f'CREATE TABLE "{table}" (id INTEGER PRIMARY KEY, {", ".join(columns)})')
    connection.close()


def insert(database: Path, table: str, rows: Iterable[Sequence[Any]]) -> None:
    rows = list(rows)
    connection = sqlite3.connect(database, timeout=20)
    with connection:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
    connection.close()
