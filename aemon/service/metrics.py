"""The metrics: one catalogue, from which they are made, documented and tested."""

from typing import Any
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aemon import __version__
from aemon.clock import utc_now
from aemon.config.cron import longest_pause
from aemon.config.schema import MonitorSettings
from aemon.records import DriftReport, Job, Outcome, Quiet, RunReport, Severity
from aemon.service.catalogue import CATALOGUE, Metric
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged

RULINGS = ("promote", "reject")
REJECTED = ("no_time", "time_out_of_range", "no_key", "duplicate_key", "too_late")
TOLD = ("sent", "failed", "dead")
PRUNED = ("scores", "anomalies", "episodes", "trials", "drifts", "runs", "artifacts")


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

    def add_receiver(self, receiver: str) -> None:
        """Let every counter of a receiver start at 0."""
        for outcome in TOLD:
            self["aemon_notifications"].labels(receiver, outcome)
        for gauge in ("aemon_notifications_waiting", "aemon_notifications_dead"):
            self[gauge].labels(receiver).set(0)

    def forget_receiver(self, receiver: str) -> None:
        """Leave no series of a receiver that is not told any more."""
        for metric in CATALOGUE:
            if "receiver" in metric.labels:
                self[metric.name].remove_by_labels({"receiver": receiver})

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
