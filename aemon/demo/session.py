"""One demo from start to end: plant and daemon as processes, with results read from the store."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from aemon.clock import Clock, utc_now
from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.demo.bursts import Blame, Flagged
from aemon.demo.files import DEFAULT_PORT, DemoFiles, things_to_try, write_demo_files
from aemon.demo.plant_database import read_planted_faults
from aemon.demo.score_card import FlaggedMoment, ScoreCard, score_card
from aemon.demo.screen import DemoScreen, MonitorProgress
from aemon.errors import RetriableError, StoreError
from aemon.lifecycle.cold_start import needed_for
from aemon.records import Outcome
from aemon.store import queries
from aemon.store.engine import open_engine
from aemon.store.store import Store

PLANT = "pumps"  # the monitor of the plant, in which faults are planted
HOST = "host"  # the monitor of this machine
LOOK_EVERY_SECONDS = 0.25
_STOP_SECONDS = 12  # a daemon ends within ten seconds
_MOST_SHOWN = 500  # flagged records read at a time


class DemoFailedError(RetriableError):
    """A process of the demo ended by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """The results of a demo; seconds count from its start."""

    first_detector_seconds: float | None
    first_fault_flagged_seconds: float | None
    host_flagged: int  # records of this machine, which has no planted faults
    host_scored: int
    card: ScoreCard

    def as_dict(self) -> dict[str, object]:
        """Return the results as plain values for JSON."""
        return {
            "first_detector_seconds": self.first_detector_seconds,
            "first_fault_flagged_seconds": self.first_fault_flagged_seconds,
            "host_flagged": self.host_flagged,
            "host_scored": self.host_scored,
            **self.card.as_dict(),
        }


def run_demo(
    folder: Path, screen: DemoScreen, files: DemoFiles, *, seed: int, seconds: float | None,
    clock: Clock = utc_now,
) -> DemoResult:  # fmt: skip
    """Run until `seconds` are over or Ctrl-C, then stop both processes.

    Raises:
        DemoFailedError: the plant or the daemon ended by itself; the message has its last output.
    """
    started_at, began = clock(), time.monotonic()
    config = load_config(files.config)
    plant_command = ["-m", "aemon.demo.feed", "--url", files.plant_url, "--seed", str(seed)]
    if seconds is not None:
        plant_command += ["--seconds", str(seconds)]  # every fault is over before the end
    with (
        (folder / "plant.log").open("w+") as plant_log,
        (folder / "daemon.log").open("w+") as daemon_log,
        _process(plant_command, plant_log) as plant,
        _process(["-m", "aemon", "run", "-c", str(files.config)], daemon_log) as daemon,
        _store(config, clock) as store,
        screen,
    ):
        watch = _Watch(store, config)
        with contextlib.suppress(KeyboardInterrupt):
            while seconds is None or time.monotonic() - began < seconds:
                for process, log, name in (
                    (plant, plant_log, "plant"),
                    (daemon, daemon_log, "daemon"),
                ):
                    if process.poll() not in (None, 0):
                        raise DemoFailedError(
                            f"the demo's {name} ended by itself: {_last_lines(log)}",
                            todo="run it again with --folder to keep its files",
                        )
                if _ready(files):
                    with contextlib.suppress(StoreError):
                        screen.update(*watch.look(), clock())
                time.sleep(LOOK_EVERY_SECONDS)
        plant.terminate()
        plant.wait(_STOP_SECONDS)
        with contextlib.suppress(KeyboardInterrupt):
            screen.note("stopping ...")
            daemon.terminate()
            daemon.wait(_STOP_SECONDS)
        return _result(store, files, started_at)


def free_port() -> int:
    """Return aemon's default port if it is free, otherwise any free port.

    Raises:
        DemoFailedError: no port is free.
    """
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found: int = probe.getsockname()[1]
            return found
    raise DemoFailedError("no port is free on 127.0.0.1")


def prepare_demo(folder: Path) -> tuple[DemoFiles, DemoScreen]:
    """Write the demo's files, and make its screen on standard error: standard output is for JSON."""
    from rich.console import Console

    files = write_demo_files(folder, port=free_port())
    things = things_to_try(
        files, sqlite3_command=shutil.which("sqlite3") and "sqlite3", python=sys.executable
    )
    return files, DemoScreen(Console(stderr=True), things)


@contextlib.contextmanager
def _process(arguments: list[str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a Python process in a session of its own, so that Ctrl-C reaches only the demo.

    The demo then stops its processes in order.
    """
    process = subprocess.Popen(  # noqa: S603 -- our own modules
        [sys.executable, *arguments], stdout=log, stderr=log, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _store(config: Config, clock: Clock) -> Iterator[Store]:
    store = Store(open_engine(config.store.get_secret_value()), clock)
    try:
        yield store
    finally:
        store.close()


def _ready(files: DemoFiles) -> bool:
    try:
        with urllib.request.urlopen(f"{files.http_address}/readyz", timeout=1):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError):
        return False


def _last_lines(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().strip().splitlines()
    return " ".join(line.strip() for line in lines[-2:]) or "without any output"


class _Watch:
    """A reader of the store that remembers which flagged records were shown."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._shown: set[tuple[str, str, str]] = set()
        self._began = utc_now()

    def look(self) -> tuple[list[MonitorProgress], list[Flagged]]:
        """Return the progress of all monitors, and the flagged records not returned before."""
        monitors = queries.overview(self._store, self._config.monitors, self._began)
        flagged = queries.flagged_records(self._store, since=self._began, limit=_MOST_SHOWN)
        fresh = [
            record
            for record in reversed(flagged)
            if (record.monitor, record.entity, record.record_key) not in self._shown
        ]
        self._shown.update((r.monitor, r.entity, r.record_key) for r in fresh)
        return [self._progress(monitor) for monitor in monitors], [_flagged(r) for r in fresh]

    def _progress(self, monitor: queries.MonitorOverview) -> MonitorProgress:
        needed = needed_for(0, self._config.monitors[monitor.name])  # min_records is configured
        run = monitor.last_score
        collected = run.records_read if run and run.outcome == Outcome.COLLECTING else 0
        return MonitorProgress(
            monitor=monitor.name,
            collected=collected,
            needed=needed,
            training=collected >= needed,
            detector_version=monitor.detector_version,
        )


def _flagged(record: queries.FlaggedRecord) -> Flagged:
    return Flagged(
        monitor=record.monitor,
        entity=record.entity,
        event_time=record.event_time,
        severity=record.severity,
        p_value=record.p_value,
        exceedance=record.exceedance,
        reason=record.reason,
        contributions=tuple(
            Blame(column=c.column, observed=c.observed, expected=c.expected, share=c.share)
            for c in record.columns
        ),
    )


def _result(store: Store, files: DemoFiles, started_at: datetime) -> DemoResult:
    """Compare all flagged records with the planted faults."""
    flagged = queries.flagged_records(store, monitor=PLANT, limit=1_000_000)
    totals = {m.name: m for m in queries.overview(store, [PLANT, HOST], started_at)}
    planted = read_planted_faults(files.plant_database)
    overview, host = totals.get(PLANT), totals.get(HOST)
    card = score_card(
        planted,
        [FlaggedMoment(pump=r.entity, event_time=r.event_time) for r in flagged],
        newest_judged=overview.read_until if overview and overview.records_scored else None,
        records_judged_normal=overview.records_scored - overview.anomalies if overview else 0,
    )
    hits = [
        record.scored_at
        for record in flagged
        if any(
            fault.covers(FlaggedMoment(pump=record.entity, event_time=record.event_time))
            for fault in planted
        )
    ]
    return DemoResult(
        first_detector_seconds=_seconds(
            overview.first_trained_at if overview else None, started_at
        ),
        first_fault_flagged_seconds=_seconds(min(hits, default=None), started_at),
        host_flagged=host.anomalies if host else 0,
        host_scored=host.records_scored if host else 0,
        card=card,
    )


def _seconds(moment: datetime | None, since: datetime) -> float | None:
    return None if moment is None else round((moment - since).total_seconds(), 1)
