"""The metrics: one catalogue, from which they are made, documented and tested."""

from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aemon import __version__
from aemon.clock import utc_now
from aemon.config.cron import longest_pause
from aemon.config.schema import MonitorSettings
from aemon.records import DriftReport, Job, Outcome, Quiet, RunReport, Severity
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged

RULINGS = ("promote", "reject")
REJECTED = ("no_time", "time_out_of_range", "no_key", "duplicate_key", "too_late")
PRUNED = ("scores", "anomalies", "episodes", "runs", "artifacts")
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_RATIOS = (1, 1.25, 1.5, 2, 3, 5, 10, 30, 100)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the catalogue; counters are exposed with `_total` behind their name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


CATALOGUE = (
    Metric("aemon_build_info", "gauge", ("version",), "1, labelled with the running version"),
    Metric(
        "aemon_config_reloads", "counter", ("result",),
        "times the configuration was read again: ok, or refused for what is wrong in it",
    ),
    Metric(
        "aemon_config_last_reload_successful", "gauge", (),
        "1 if the configuration in its file is the one in use, 0 if it was refused",
    ),
    Metric(
        "aemon_config_last_reload_success_timestamp_seconds", "gauge", (),
        "when the configuration in use was read",
    ),
    Metric(
        "aemon_scheduler_heartbeat_timestamp_seconds", "gauge", (),
        "when the scheduler last showed that it lives",
    ),
    Metric(
        "aemon_lease_held", "gauge", ("monitor",),
        "1 where this daemon watches the monitor, 0 where another does or none",
    ),
    Metric(
        "aemon_leases_lost", "counter", (),
        "monitors that another daemon took, for this one had not said that it lives",
    ),
    Metric("aemon_replicas_live", "gauge", (), "daemons that share this store and live"),
    Metric("aemon_runs", "counter", ("monitor", "job", "outcome"), "runs by how they ended"),
    Metric("aemon_run_duration_seconds", "histogram", ("job",), "how long runs took", _SECONDS),
    Metric(
        "aemon_run_last_success_timestamp_seconds", "gauge", ("monitor", "job"),
        "when a run last ended well (ok, no_data or collecting)",
    ),
    Metric("aemon_run_interval_seconds", "gauge", ("monitor", "job"), "longest pause between runs"),
    Metric("aemon_source_records_read", "counter", ("monitor",), "records the source returned"),
    Metric("aemon_source_errors", "counter", ("monitor",), "runs that failed to read the source"),
    Metric(
        "aemon_source_newest_record_timestamp_seconds", "gauge", ("monitor",),
        "event time of the newest record read",
    ),
    Metric("aemon_records_scored", "counter", ("monitor",), "records that got a verdict"),
    Metric(
        "aemon_records_rejected", "counter", ("monitor", "reason"),
        "records that could not be judged",
    ),
    Metric(
        "aemon_records_late", "counter", ("monitor",),
        "scored records older than one read before them",
    ),
    Metric(
        "aemon_records_revised", "counter", ("monitor",),
        "records judged again, for they changed or by choice",
    ),
    Metric(
        "aemon_records_reviewed", "counter", ("monitor",),
        "known records read again to look for late and corrected ones",
    ),
    Metric("aemon_cells_imputed", "counter", ("monitor",), "missing cells in scored records"),
    Metric("aemon_anomalies", "counter", ("monitor", "severity"), "records judged anomalous"),
    Metric(
        "aemon_records_suppressed", "counter", ("monitor", "reason"),
        "records over the line that were kept quiet, by why",
    ),
    Metric(
        "aemon_episodes", "counter", ("monitor", "severity"),
        "episodes that were told, by their severity then",
    ),
    Metric(
        "aemon_episodes_open", "gauge", ("monitor",),
        "episodes that were told and are not closed, acknowledged ones included",
    ),
    Metric(
        "aemon_anomaly_exceedance_ratio", "histogram", (),
        "score over threshold of records judged anomalous", _RATIOS,
    ),
    Metric(
        "aemon_last_run_max_exceedance_ratio", "gauge", ("monitor",),
        "largest score over threshold in the last run that scored; 1 is the line",
    ),
    Metric(
        "aemon_promised_false_alarm_ratio", "gauge", ("monitor",),
        "share of normal records that may be flagged, as promised",
    ),
    Metric(
        "aemon_realised_anomaly_ratio", "gauge", ("monitor",),
        "share of the records the active detector could judge that it flagged, rightly or not",
    ),
    Metric(
        "aemon_cold_start_records", "gauge", ("monitor",),
        "records there are for the first training; gone once there is a detector",
    ),
    Metric(
        "aemon_cold_start_wanted_records", "gauge", ("monitor",),
        "records the first training waits for; gone once there is a detector",
    ),
    Metric(
        "aemon_detector_info", "gauge", ("monitor", "version"), "1, labelled with the active version"
    ),
    Metric(
        "aemon_detector_trained_timestamp_seconds", "gauge", ("monitor",),
        "when the active detector was trained",
    ),
    Metric(
        "aemon_detector_training_records", "gauge", ("monitor",),
        "records that shaped the active detector's weights",
    ),
    Metric(
        "aemon_detector_validation_error", "gauge", ("monitor",),
        "mean squared reconstruction error on held-out normal records",
    ),
    Metric(
        "aemon_detector_provisional", "gauge", ("monitor",),
        "1 while too few records set the threshold to show the promised rate",
    ),
    Metric(
        "aemon_trials", "counter", ("monitor", "ruling"),
        "detectors on trial that were promoted or rejected",
    ),
    Metric(
        "aemon_drift_evidence", "gauge", ("monitor",),
        "log10 of the evidence that scores have drifted; normal life reaches 2 once in 100 times",
    ),
    Metric(
        "aemon_drift_psi", "gauge", ("monitor",),
        "largest population stability index of a column, chance taken off",
    ),
    Metric(
        "aemon_drifts_open", "gauge", ("monitor",), "changes of normal life that are not over"
    ),
    Metric("aemon_drifts", "counter", ("monitor",), "changes of normal life that were found"),
    Metric("aemon_threshold", "gauge", ("monitor",), "scores above this are anomalous"),
    Metric("aemon_store_errors", "counter", (), "times the store could not be read or written"),
    Metric("aemon_store_up", "gauge", (), "1 while the store can be written, 0 while it cannot"),
    Metric(
        "aemon_store_retry_timestamp_seconds", "gauge", (),
        "when the store is tried again; 0 while it can be written",
    ),
    Metric(
        "aemon_store_write_duration_seconds", "histogram", (),
        "how long it took to commit verdicts, their writing included", _SECONDS,
    ),
    Metric(
        "aemon_ledger_waiting_runs", "gauge", (),
        "ended runs that wait to be written into the ledger",
    ),
    Metric(
        "aemon_records_pruned", "counter", ("table",), "rows that retention has removed",
    ),
)  # fmt: skip

_NOTHING = Flagged()
_WELL = frozenset({Outcome.OK, Outcome.NO_DATA, Outcome.COLLECTING})


class Metrics:
    """Keeps every metric of the catalogue up to date from what happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._all: dict[str, Any] = {metric.name: _make(metric, registry) for metric in CATALOGUE}
        self["aemon_build_info"].labels(version=__version__).set(1)
        self["aemon_store_up"].set(1)
        for table in PRUNED:
            self["aemon_records_pruned"].labels(table)
        self._realised: dict[str, Flagged] = {}
        self._forgotten: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self._all[name]

    def add_monitor(self, monitor: str, settings: MonitorSettings) -> None:
        """Let every counter of a monitor start at 0, so that its first increase is seen."""
        self._forgotten.discard(monitor)
        for job in Job:
            for outcome in set(Outcome) - {Outcome.RUNNING}:
                self["aemon_runs"].labels(monitor, job, outcome)
        every = {Job.SCORE: settings.score_every, Job.TRAIN: settings.train_every}
        for job, schedule in every.items():
            interval = longest_pause(schedule, ZoneInfo(settings.timezone), utc_now())
            self["aemon_run_interval_seconds"].labels(monitor, job).set(interval.total_seconds())
        for metric in CATALOGUE:
            if metric.kind == "counter" and metric.labels == ("monitor",):
                self[metric.name].labels(monitor)
        for reason in REJECTED:
            self["aemon_records_rejected"].labels(monitor, reason)
        for ruling in RULINGS:
            self["aemon_trials"].labels(monitor, ruling)
        for severity in Severity:
            self["aemon_anomalies"].labels(monitor, severity)
            self["aemon_episodes"].labels(monitor, severity)
        for reason in Quiet:
            self["aemon_records_suppressed"].labels(monitor, reason)

    def forget_monitor(self, monitor: str) -> None:
        """Leave no series of a monitor that is not watched here any more."""
        for metric in CATALOGUE:
            if "monitor" in metric.labels:
                _remove(self[metric.name], monitor)
        self._realised.pop(monitor, None)
        self._forgotten.add(monitor)

    def observe(self, report: RunReport) -> None:
        """Count a finished run, unless its monitor was forgotten meanwhile."""
        monitor = report.monitor
        if monitor in self._forgotten:
            return
        self["aemon_runs"].labels(monitor, report.job, report.outcome).inc()
        self["aemon_run_duration_seconds"].labels(report.job).observe(report.seconds)
        if report.outcome in _WELL:
            success = self["aemon_run_last_success_timestamp_seconds"]
            success.labels(monitor, report.job).set(report.finished_at.timestamp())
        if report.job is Job.SCORE:
            self._observe_scoring(monitor, report)

    def _observe_scoring(self, monitor: str, report: RunReport) -> None:
        if report.outcome is Outcome.COLLECTING:
            self["aemon_cold_start_records"].labels(monitor).set(report.records_read)
            self["aemon_cold_start_wanted_records"].labels(monitor).set(report.records_wanted)
            return
        self["aemon_source_records_read"].labels(monitor).inc(report.records_read)
        self["aemon_records_scored"].labels(monitor).inc(report.records_scored)
        self["aemon_records_late"].labels(monitor).inc(report.records_late)
        self["aemon_records_revised"].labels(monitor).inc(report.records_revised)
        self["aemon_records_reviewed"].labels(monitor).inc(report.records_reviewed)
        self["aemon_cells_imputed"].labels(monitor).inc(report.cells_imputed)
        for reason, count in report.rejected:
            self["aemon_records_rejected"].labels(monitor, reason).inc(count)
        self._observe_flagged(monitor, report)
        for seconds in report.store_seconds:
            self["aemon_store_write_duration_seconds"].observe(seconds)
        if report.largest_exceedance is not None:
            largest = self["aemon_last_run_max_exceedance_ratio"]
            largest.labels(monitor).set(report.largest_exceedance)
        before = self._realised.get(monitor)
        if before is not None:
            judged = before.judged + report.records_scored + report.records_revised
            judged -= report.records_absent
            flagged = before.flagged + report.anomalies
            self._show_realised(monitor, Flagged(judged=judged, flagged=flagged))
        if report.ruling:
            self["aemon_trials"].labels(monitor, report.ruling).inc()
        if report.drift is not None:
            self._show_drift(monitor, report.drift)
        if report.newest_record is not None:
            newest = self["aemon_source_newest_record_timestamp_seconds"]
            newest.labels(monitor).set(report.newest_record.timestamp())

    def _observe_flagged(self, monitor: str, report: RunReport) -> None:
        counts = {
            Severity.CRITICAL: report.critical,
            Severity.WARNING: report.anomalies - report.critical,
        }
        for severity, count in counts.items():
            self["aemon_anomalies"].labels(monitor, severity).inc(count)
        for reason, count in report.suppressed:
            self["aemon_records_suppressed"].labels(monitor, reason).inc(count)
        for level, count in report.episodes_opened:
            self["aemon_episodes"].labels(monitor, level).inc(count)
        if report.episodes_open is not None:
            self["aemon_episodes_open"].labels(monitor).set(report.episodes_open)
        for exceedance in report.exceedances:
            self["aemon_anomaly_exceedance_ratio"].observe(exceedance)

    def _show_drift(self, monitor: str, drift: DriftReport) -> None:
        values = {
            "aemon_detector_provisional": float(drift.provisional),
            "aemon_drift_evidence": drift.evidence,
            "aemon_drifts_open": drift.open,
        }
        for name, value in values.items():
            self[name].labels(monitor).set(value)
        self["aemon_drifts"].labels(monitor).inc(drift.found)
        if drift.largest_index is not None:
            self["aemon_drift_psi"].labels(monitor).set(drift.largest_index)

    def show_detector(self, stored: StoredDetector, realised: Flagged = _NOTHING) -> None:
        """Describe a monitor's active detector; the one before leaves no series behind.

        Args:
            stored: the detector.
            realised: what it has flagged until now, by all runs that were observed.
        """
        monitor = stored.monitor
        _remove(self["aemon_detector_info"], monitor)
        self["aemon_detector_info"].labels(monitor, str(stored.version)).set(1)
        values = {
            "aemon_detector_trained_timestamp_seconds": stored.trained_at.timestamp(),
            "aemon_detector_training_records": stored.training_records,
            "aemon_detector_validation_error": stored.validation_error,
            "aemon_threshold": stored.threshold,
            "aemon_promised_false_alarm_ratio": stored.false_alarm_rate,
        }
        for name, value in values.items():
            self[name].labels(monitor).set(value)
        for name in ("aemon_cold_start_records", "aemon_cold_start_wanted_records"):
            _remove(self[name], monitor)
        self._show_realised(monitor, realised)

    def _show_realised(self, monitor: str, realised: Flagged) -> None:
        self._realised[monitor] = realised
        gauge = self["aemon_realised_anomaly_ratio"]
        if realised.share is None:
            _remove(gauge, monitor)
        else:
            gauge.labels(monitor).set(realised.share)


def _make(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "histogram":
        return Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
        )
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.help, metric.labels, registry=registry)


def _remove(gauge: Gauge, monitor: str) -> None:
    gauge.remove_by_labels({"monitor": monitor})
