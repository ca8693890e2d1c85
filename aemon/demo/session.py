"""A complete demo: plant, daemon and server run as processes; results come from the store."""

import contextlib
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aemon.clock import Clock, utc_now
from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.demo.bursts import Blame, Flagged
from aemon.demo.demo_sources import PLANT_SIZES, DemoSource
from aemon.demo.files import DEFAULT_PORT, DemoFiles, things_to_try, write_demo_files
from aemon.demo.plant_database import read_planted_faults
from aemon.demo.processes import DemoFailedError, Processes
from aemon.demo.score_card import FlaggedMoment, ScoreCard, score_card
from aemon.demo.screen import DemoScreen, MonitorProgress
from aemon.demo.servers import check_programs, free_ports, prepare_server
from aemon.errors import StoreError
from aemon.lifecycle.cold_start import needed_for
from aemon.records import Outcome
from aemon.store import queries
from aemon.store.engine import open_engine
from aemon.store.store import Store

PLANT = "pumps"  # name of the monitor for the plant, in which faults are planted
HOST = "host"  # name of the monitor for this machine
LOOK_EVERY_SECONDS = 0.25
_MOST_SHOWN = 500  # maximum number of flagged records in one read


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """The results of a demo; times are in seconds since the demo started."""

    first_detector_seconds: float | None
    first_fault_flagged_seconds: float | None
    host_flagged: int  # flagged records of this machine, which has no planted faults
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
    """Run a demo until Ctrl-C or SIGTERM, or for `seconds`; then stop all its processes.

    Raises:
        DemoFailedError: a process ended by itself; the message has its last output.
        MissingProgramError: the server of the source is not on PATH.
    """
    started_at, began = clock(), time.monotonic()
    config = load_config(files.config)
    server = prepare_server(files)
    daemon = ["-m", "aemon", "run", "-c", str(files.config)]
    with (
        _sigterm_as_interrupt(),
        contextlib.ExitStack() as stack,
        _store(config, clock) as store,
        screen,
    ):
        processes = Processes(stack, folder)
        with contextlib.suppress(KeyboardInterrupt):
            if server is not None:
                processes.start(server.name, server.command, server.log)
                processes.wait_until(server.is_ready, f"{server.name} to answer")
                screen.note(server.note)
            if server is not None and files.source is DemoSource.MQTT:
                # A broker keeps no messages for a client that has not connected before.
                processes.start_python("daemon", daemon)
                processes.wait_until(server.has_reader, "the daemon to subscribe")
                processes.start_python("plant", _plant(files, seed, _left(seconds, began)))
            else:
                processes.start_python("plant", _plant(files, seed, _left(seconds, began)))
                processes.start_python("daemon", daemon)
            watch = _Watch(store, config)
            while seconds is None or time.monotonic() - began < seconds:
                processes.check()
                if _ready(files):
                    with contextlib.suppress(StoreError):
                        screen.update(*watch.look(), clock())
                time.sleep(LOOK_EVERY_SECONDS)
        processes.stop("plant")
        with contextlib.suppress(KeyboardInterrupt):
            screen.note("stopping ...")
            processes.stop("daemon")
        return _result(store, files, started_at)


def _plant(files: DemoFiles, seed: int, seconds: float | None) -> list[str]:
    """Return the Python arguments that run the plant for `seconds`; None: without a time limit."""
    size = PLANT_SIZES[files.source]
    options = {
        "--url": files.plant_url,
        "--seed": seed,
        "--pumps": size.pumps,
        "--past": size.past_seconds,
        "--first-fault": size.first_fault_seconds,
        "--seconds": seconds,  # the last fault ends before this time
        "--publish": files.server_port if files.source is DemoSource.MQTT else None,
        "--expose": files.exporter_port if files.source is DemoSource.PROMETHEUS else None,
    }
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    return ["-m", "aemon.demo.feed", *(part for option in given for part in option)]


def _left(seconds: float | None, began: float) -> float | None:
    """Return the remaining seconds of the demo, at least one; None without a time limit."""
    return None if seconds is None else max(1.0, seconds - (time.monotonic() - began))


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


def prepare_demo(folder: Path, source: DemoSource = DemoSource.SQL) -> tuple[DemoFiles, DemoScreen]:
    """Write the demo's files, and make its screen on standard error: standard output is for JSON.

    Raises:
        MissingProgramError: the server of the source is not on PATH.
    """
    from rich.console import Console

    check_programs(source)
    server_port, exporter_port = free_ports(2)
    files = write_demo_files(
        folder,
        port=free_port(),
        source=source,
        server_port=server_port,
        exporter_port=exporter_port,
    )
    things = things_to_try(
        files, sqlite3_command=shutil.which("sqlite3") and "sqlite3", python=sys.executable
    )
    return files, DemoScreen(Console(stderr=True), things)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that the demo's processes end together with the demo."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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


class _Watch:
    """A reader of the store; the reader remembers which flagged records were shown."""

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
