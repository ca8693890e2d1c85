"""The metrics: one catalogue, from which they are made, documented and tested."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

from aemon import __version__
from aemon.clock import utc_now
from aemon.config.quiet_settings import QuietSettings
from aemon.config.schema import MonitorSettings
from aemon.metrics.catalogue import CATALOGUE, Metric
from aemon.metrics.series import Family, exposition
from aemon.records import DriftReport, Job, OpenEpisodes, Outcome, Quiet, RunReport, Severity
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged

TOLD = ("sent", "failed", "dead")
REFUSED = (401, 403, 413, 429)
PRUNED = ("scores", "anomalies", "episodes", "trials", "drifts", "runs", "artifacts")
_BEGIN_WITH: Mapping[str, Iterable[str]] = {
    "aemon_source_errors": ("unreachable", "misconfigured", "unfit", "timed_out"),
    "aemon_records_rejected": (
        "no_time", "time_out_of_range", "no_key", "duplicate_key", "too_late",
        "changed_record", "refused", "lost",
    ),
    "aemon_anomalies": tuple(Severity),
    "aemon_episodes": tuple(Severity),
    "aemon_trials": ("promote", "reject"),
}  # fmt: skip
"""What counters with a second label count, so that each begins at 0."""

_NOTHING = Flagged()
_ENDS = {
    Job.SCORE: frozenset(Outcome) - {Outcome.RUNNING},
    Job.TRAIN: (Outcome.OK, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED),
    Job.PRUNE: (Outcome.OK, Outcome.FAILED, Outcome.TIMED_OUT),
}
"""What runs begin to be counted as; an odder end begins a series of its own."""

_WELL = frozenset({Outcome.OK, Outcome.NO_DATA, Outcome.COLLECTING})


class Metrics:
    """Keeps every metric of the catalogue up to date from what happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._families: list[Family] = []
        self._others = CollectorRegistry()  # few series
        self._all: dict[str, Any] = {metric.name: self._make(metric) for metric in CATALOGUE}
        registry.register(ProcessCollector(registry=self._others))
        self["aemon_build_info"].labels(version=__version__).set(1)
        self["aemon_store_up"].set(1)
        for table in PRUNED:
            self["aemon_records_pruned"].labels(table)
        for status in REFUSED:
            self["aemon_http_refused"].labels(status)
        # What is told of a monitor and its leaving wait for each other: a series that is set once more
        # after its monitor has left would stay for ever, and alert for ever.
        self._watching = threading.RLock()
        self._realised: dict[str, Flagged] = {}
        self._settings: dict[str, MonitorSettings] = {}  # of every monitor that is watched here
        self._entities: dict[str, set[str]] = {}  # that are shown

    def exposed(self) -> bytes:
        """What Prometheus scrapes, in the text format."""
        return exposition(self._families, self._others)

    def __getitem__(self, name: str) -> Any:
        return self._all[name]

    def add_monitor(self, monitor: str, settings: MonitorSettings) -> None:
        """Let every counter of a monitor start at 0, so that its first increase is seen."""
        with self._watching:
            self._add_monitor(monitor, settings)

    def _add_monitor(self, monitor: str, settings: MonitorSettings) -> None:
        self._settings[monitor] = settings
        for job in Job:
            for outcome in _ENDS[job]:
                self["aemon_runs"].labels(monitor, job, outcome)
        for metric in CATALOGUE:
            if metric.kind == "counter" and metric.labels == ("monitor",):
                self[metric.name].labels(monitor)
        for name, values in _BEGIN_WITH.items():
            for value in values:
                self[name].labels(monitor, value)
        for why in _quiet_reasons(settings.quiet):
            self["aemon_records_suppressed"].labels(monitor, why)
        kinds = (settings.source.kind, settings.detector.kind)
        self["aemon_monitor_info"].labels(monitor, *kinds).set(1)
        now = utc_now()
        self._show_due(monitor, now)
        for job in (Job.SCORE, Job.TRAIN):
            seconds = settings.pause(job, now).total_seconds()
            self["aemon_run_interval_seconds"].labels(monitor, job).set(seconds)
        old = self["aemon_detector_stale_after_seconds"]
        old.labels(monitor).set(settings.old_age(now).total_seconds())
        stale = settings.stale_age(now)
        if stale is not None:
            after = self["aemon_source_stale_after_seconds"]
            after.labels(monitor).set(stale.total_seconds())

    def forget_monitor(self, monitor: str) -> None:
        """Leave no series of a monitor that is not watched here any more."""
        with self._watching:
            for metric in CATALOGUE:
                if "monitor" in metric.labels:
                    self[metric.name].remove(monitor)
            for kept in (self._realised, self._settings, self._entities):
                kept.pop(monitor, None)

    def count_refused(self, status: int) -> None:
        """Count an HTTP request that was refused."""
        self["aemon_http_refused"].labels(status).inc()

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
                self[metric.name].remove(receiver)

    def observe(self, report: RunReport) -> None:
        """Count a finished run, unless its monitor is not watched here, or not any more."""
        with self._watching:
            if report.monitor in self._settings:
                self._observe(report)

    def _observe(self, report: RunReport) -> None:
        monitor = report.monitor
        self["aemon_runs"].labels(monitor, report.job, report.outcome).inc()
        self["aemon_run_duration_seconds"].labels(report.job).observe(report.seconds)
        if report.outcome in _WELL:
            success = self["aemon_run_last_success_timestamp_seconds"]
            success.labels(monitor, report.job).set(report.finished_at.timestamp())
            if report.job is Job.SCORE:
                self._show_due(monitor, report.finished_at)
        if report.job is Job.SCORE:
            self._observe_scoring(monitor, report)

    def _show_due(self, monitor: str, now: datetime) -> None:
        late = self["aemon_run_late_after_timestamp_seconds"]
        late.labels(monitor).set(self._settings[monitor].late_after(now).timestamp())

    def count_source_error(self, monitor: str, reason: str) -> None:
        """Count a run that failed to read its source, for one of the reasons there are."""
        with self._watching:
            if monitor in self._settings:
                self["aemon_source_errors"].labels(monitor, reason).inc()

    def show_feedback(self, monitor: str, waiting: int) -> None:
        """Show how much was said of a monitor's records that no training has taken up."""
        with self._watching:
            if monitor in self._settings:
                self["aemon_feedback_waiting"].labels(monitor).set(waiting)

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
        self._show_entities(monitor, report)
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
            self.show_open(monitor, report.episodes_open)
        for exceedance in report.exceedances:
            self["aemon_anomaly_exceedance_ratio"].observe(exceedance)

    def show_open(self, monitor: str, episodes: OpenEpisodes) -> None:
        """Show which episodes of a monitor are open."""
        with self._watching:
            if monitor not in self._settings:
                return
            self["aemon_episodes_open"].labels(monitor, Severity.WARNING).set(episodes.warning)
            self["aemon_episodes_open"].labels(monitor, Severity.CRITICAL).set(episodes.critical)
            self["aemon_episodes_acknowledged"].labels(monitor).set(episodes.acknowledged)

    def _show_entities(self, monitor: str, report: RunReport) -> None:
        """The first entities that come are shown: series that come and go cost Prometheus most."""
        shown = self._entities.setdefault(monitor, set())
        name = "aemon_entity_max_exceedance_ratio"
        for entity, exceedance in report.by_entity:
            if entity in shown or len(shown) < self._settings[monitor].entity_metrics:
                shown.add(entity)
                self[name].labels(monitor, entity).set(exceedance)
            else:
                self["aemon_entity_series_left_out"].labels(monitor).inc()

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
        with self._watching:
            if stored.monitor in self._settings:
                self._show_detector(stored, realised)

    def _show_detector(self, stored: StoredDetector, realised: Flagged) -> None:
        monitor = stored.monitor
        self["aemon_detector_info"].remove(monitor)
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
            self[name].remove(monitor)
        self._show_realised(monitor, realised)

    def _show_realised(self, monitor: str, realised: Flagged) -> None:
        self._realised[monitor] = realised
        gauge = self["aemon_realised_anomaly_ratio"]
        if realised.share is None:
            gauge.remove(monitor)
        else:
            gauge.labels(monitor).set(realised.share)

    def _make(self, metric: Metric) -> Family | Histogram:
        if metric.kind != "histogram":
            family = Family(metric, self.registry)
            self._families.append(family)
            return family
        histogram = Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._others
        )
        self.registry.register(histogram)
        return histogram


def _quiet_reasons(settings: QuietSettings) -> list[Quiet]:
    """Why anomalies may be kept quiet by these settings."""
    asked_for = {
        Quiet.MAINTENANCE: settings.maintenance,
        Quiet.SNOOZED: True,
        Quiet.DRIFT: True,
        Quiet.DIRECTION: settings.directions,
        Quiet.SMALL: settings.least_gaps,
        Quiet.FEW: settings.least_records,
    }
    return [why for why, asked in asked_for.items() if asked]
