"""What a scrape of many monitors costs, over HTTP from the daemon's own web server.

    python tests/benchmarks/bench_scrape.py [--monitors 1000] [--runs 15]

Peer: prometheus-client's own text of the same registry, without HTTP. Three scrapes: nothing has
changed since the last one; every monitor has run since; the first of all. Medians and worst cases.
"""

import argparse
import statistics
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from aemon.config.schema import MonitorSettings
from aemon.metrics.metrics import Metrics
from aemon.operations.status_report import Health
from aemon.records import DetectorState, DriftReport, Job, OpenEpisodes, Outcome, Severity
from aemon.run_report import RunCounts, RunReport
from aemon.sources.host.settings import HostSource
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged
from aemon.web.app import build_app
from aemon.web.server import WebServer, listen

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAUSE = 0.5  # before each scrape: the server rests after a page, so that no flood takes its core
DRIFT = DriftReport(evidence=0.5, largest_index=0.1, open=0, found=0, provisional=False)


def report(monitor: str, turn: int) -> RunReport:
    """A scoring run that moves all there is to move."""
    return RunReport(
        monitor=monitor,
        job=Job.SCORE,
        outcome=Outcome.OK,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=1 + turn / 7),
        counts=RunCounts(
            records_read=105,
            records_scored=100,
            records_late=1,
            cells_imputed=3,
            rejected={"no_time": 5},
            exceedances=(1.5, 4.0),
            critical=1,
            episodes_opened={Severity.CRITICAL: 1},
            episodes_open=OpenEpisodes(critical=1 + turn),
            largest_exceedance=4.0 + turn,
            newest_record=NOW + timedelta(seconds=turn),
            drift=replace(DRIFT, evidence=turn / 3),
        ),
    )


def detector(monitor: str) -> StoredDetector:
    return StoredDetector(
        id=3, monitor=monitor, version=1, threshold_id=3, trained_at=NOW, training_records=640,
        validation_error=0.1, settings_hash="", threshold=2.5, false_alarm_rate=0.001,
        artifact_sha256="", state=DetectorState.ACTIVE, state_at=NOW, calibration_records=1000,
        lines_sha256=None,
    )  # fmt: skip


def timed(runs: int, call: Callable[[], object], before: Callable[[], object]) -> list[float]:
    """Milliseconds of each call."""
    found = []
    for _ in range(runs):
        before()
        time.sleep(PAUSE)
        began = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - began))
    return found


def told(what: str, milliseconds: list[float], peer: float) -> None:
    middle = statistics.median(milliseconds)
    ratio = f"   {middle / peer:.3f} x prometheus-client" if peer else ""
    print(f"{what:42} median {middle:7.1f} ms   worst {max(milliseconds):7.1f} ms{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    disable_created_metrics()
    metrics = Metrics(CollectorRegistry())
    settings = MonitorSettings(source=HostSource(), score_every=timedelta(minutes=1))
    names = [f"plant-{number}" for number in range(arguments.monitors)]
    for name in names:
        metrics.add_monitor(name, settings)
        metrics.show_detector(detector(name), Flagged(judged=1000, flagged=2))

    turns = iter(range(1, 10_000))

    def run_all() -> None:
        turn = next(turns)
        for name in names:
            metrics.observe(report(name, turn))

    run_all()
    listener = listen("127.0.0.1:0")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
    health = Health(started=True, alive=True, heartbeat_age_seconds=0)
    app = build_app(lambda: None, lambda: health, metrics.exposed)  # type: ignore[arg-type]
    server = WebServer(listener, app)
    server.start()
    gzipped = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})

    def scrape() -> bytes:
        with urllib.request.urlopen(gzipped, timeout=60) as answer:
            return answer.read()

    first = timed(1, scrape, lambda: None)
    text = metrics.exposed()
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    print(
        f"{arguments.monitors} monitors, {series} series, {len(text) / 1e6:.1f} MB, "
        f"{len(scrape()) / 1e6:.2f} MB gzipped"
    )
    peer = timed(3, lambda: generate_latest(metrics.registry), lambda: None)
    told("prometheus-client, no HTTP", peer, 0)
    middle = statistics.median(peer)
    told("the first scrape", first, middle)
    told("every monitor has run since the last one", timed(arguments.runs, scrape, run_all), middle)
    told("nothing has changed", timed(arguments.runs, scrape, lambda: None), middle)
    server.stop()


if __name__ == "__main__":
    main()
