"""The metrics, with a method for each event of runs, detectors and notifications."""

import threading
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector

from aemon import __version__
from aemon.clock import Clock, utc_now
from aemon.config.schema import MonitorSettings
from aemon.metrics.catalogue import Catalogue
from aemon.metrics.series import exposition
from aemon.metrics.starting_counts import begin_daemon, begin_monitor, begin_receiver
from aemon.records import DriftReport, Job, NamedEpisode, OpenEpisodes, Outcome, Severity
from aemon.run_report import RunReport
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged

_NOTHING = Flagged()
_WELL = frozenset({Outcome.OK, Outcome.NO_DATA, Outcome.COLLECTING})


class Metrics(Catalogue):
    """All metrics of the catalogue, with a method for each event that changes metrics."""

    def __init__(self, registry: CollectorRegistry, clock: Clock = utc_now) -> None:
        super().__init__(registry)
        self._clock = clock
        registry.register(ProcessCollector(registry=self.others))
        self.build_info.labels(version=__version__).set(1)
        self.store_up.set(1)
        begin_daemon(self)
        # Held while a monitor's series are set or removed: a series that is set after its monitor
        # was removed would stay for ever, and its alerts would fire for ever.
        self._watching = threading.RLock()
        self._realised: dict[str, Flagged] = {}
        self._settings: dict[str, MonitorSettings] = {}  # monitors that this daemon watches
        self._entities: dict[str, set[str]] = {}  # monitor -> entities with a series
        self._named: dict[str, tuple[NamedEpisode, ...]] = {}  # monitor -> episodes in episode_info

    def exposed(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return exposition(self.families, self.others)

    def add_monitor(self, monitor: str, settings: MonitorSettings) -> None:
        """Add a monitor's series: schedule, kinds of source and detector, and counters at 0."""
        with self._watching:
            self._add_monitor(monitor, settings)

    def _add_monitor(self, monitor: str, settings: MonitorSettings) -> None:
        self._settings[monitor] = settings
        begin_monitor(self, monitor, settings.quiet)
        kinds = (settings.source.kind, settings.detector.kind)
        self.monitor_info.labels(monitor, *kinds).set(1)
        now = self._clock()
        self._show_due(monitor, now)
        for job in (Job.SCORE, Job.TRAIN):
            seconds = settings.pause(job, now).total_seconds()
            self.run_interval_seconds.labels(monitor, job).set(seconds)
        old = self.detector_stale_after_seconds
        old.labels(monitor).set(settings.old_age(now).total_seconds())
        stale = settings.stale_age(now)
        if stale is not None:
            after = self.source_stale_after_seconds
            after.labels(monitor).set(stale.total_seconds())

    def forget_monitor(self, monitor: str) -> None:
        """Remove all series of a monitor that this daemon no longer watches."""
        with self._watching:
            for family in self.families:
                if "monitor" in family.metric.labels:
                    family.remove(monitor)
            for by_monitor in (self._realised, self._settings, self._entities, self._named):
                by_monitor.pop(monitor, None)

    def count_refused(self, status: int) -> None:
        """Count a refused HTTP request by its status."""
        self.http_refused.labels(status).inc()

    def count_rejected(self, monitor: str, reason: str, records: int) -> None:
        """Count pushed records that cannot be judged."""
        self.records_rejected.labels(monitor, reason).inc(records)

    def add_receiver(self, receiver: str) -> None:
        """Add a receiver's series, with every counter at 0."""
        begin_receiver(self, receiver)

    def show_notifications(self, receiver: str, *, waiting: int, dead: int) -> None:
        """Set how many notifications of a receiver are waiting, and how many were given up."""
        self.notifications_waiting.labels(receiver).set(waiting)
        self.notifications_dead.labels(receiver).set(dead)

    def forget_receiver(self, receiver: str) -> None:
        """Remove all series of a receiver that is no longer notified."""
        for family in self.families:
            if "receiver" in family.metric.labels:
                family.remove(receiver)

    def observe(self, report: RunReport) -> None:
        """Count a finished run if this daemon still watches its monitor."""
        with self._watching:
            if report.monitor in self._settings:
                self._observe(report)

    def _observe(self, report: RunReport) -> None:
        monitor = report.monitor
        self.runs.labels(monitor, report.job, report.outcome).inc()
        self.run_duration_seconds.labels(report.job).observe(report.seconds)
        if report.outcome in _WELL:
            success = self.run_last_success_timestamp_seconds
            success.labels(monitor, report.job).set(report.finished_at.timestamp())
            if report.job is Job.SCORE:
                self._show_due(monitor, report.finished_at)
        if report.job is Job.SCORE:
            self._observe_scoring(monitor, report)

    def _show_due(self, monitor: str, now: datetime) -> None:
        late = self.run_late_after_timestamp_seconds
        late.labels(monitor).set(self._settings[monitor].late_after(now).timestamp())

    def count_source_error(self, monitor: str, reason: str) -> None:
        """Count a run that failed to read its source, by reason."""
        with self._watching:
            if monitor in self._settings:
                self.source_errors.labels(monitor, reason).inc()

    def show_feedback(self, monitor: str, waiting: int) -> None:
        """Set how many feedback entries of a monitor are not yet used in training."""
        with self._watching:
            if monitor in self._settings:
                self.feedback_waiting.labels(monitor).set(waiting)

    def _observe_scoring(self, monitor: str, report: RunReport) -> None:
        if report.outcome is Outcome.COLLECTING:
            self.cold_start_records.labels(monitor).set(report.counts.records_read)
            self.cold_start_wanted_records.labels(monitor).set(report.counts.records_wanted)
            return
        self.source_records_read.labels(monitor).inc(report.counts.records_read)
        self.source_keys_given_up.labels(monitor).inc(report.counts.keys_given_up)
        self.records_scored.labels(monitor).inc(report.counts.records_scored)
        self.records_idle.labels(monitor).inc(report.counts.records_idle)
        self.records_late.labels(monitor).inc(report.counts.records_late)
        self.records_revised.labels(monitor).inc(report.counts.records_revised)
        self.records_reviewed.labels(monitor).inc(report.counts.records_reviewed)
        self.cells_imputed.labels(monitor).inc(report.counts.cells_imputed)
        for reason, count in report.counts.rejected.items():
            self.records_rejected.labels(monitor, reason).inc(count)
        self._observe_flagged(monitor, report)
        for seconds in report.counts.store_seconds:
            self.store_write_duration_seconds.observe(seconds)
        if report.counts.largest_exceedance is not None:
            largest = self.last_run_max_exceedance_ratio
            largest.labels(monitor).set(report.counts.largest_exceedance)
        self._show_entities(monitor, report)
        before = self._realised.get(monitor)
        if before is not None:
            judged = before.judged + report.counts.records_scored + report.counts.records_revised
            judged -= report.counts.records_absent + report.counts.records_idle
            flagged = before.flagged + report.counts.anomalies
            self._show_realised(monitor, Flagged(judged=judged, flagged=flagged))
        if report.counts.ruling:
            self.trials.labels(monitor, report.counts.ruling).inc()
        if report.counts.drift is not None:
            self._show_drift(monitor, report.counts.drift)
        if report.counts.traffic is not None:
            self.entities_silent.labels(monitor).set(report.counts.traffic.silent)
            unusual = float(report.counts.traffic.unusual_rate)
            self.records_rate_unusual.labels(monitor).set(unusual)
        if report.counts.newest_record is not None:
            newest = self.source_newest_record_timestamp_seconds
            newest.labels(monitor).set(report.counts.newest_record.timestamp())

    def _observe_flagged(self, monitor: str, report: RunReport) -> None:
        counts = {
            Severity.CRITICAL: report.counts.critical,
            Severity.WARNING: report.counts.anomalies - report.counts.critical,
        }
        for severity, count in counts.items():
            self.anomalies.labels(monitor, severity).inc(count)
        for reason, count in report.counts.suppressed.items():
            self.records_suppressed.labels(monitor, reason).inc(count)
        for level, count in report.counts.episodes_opened.items():
            self.episodes.labels(monitor, level).inc(count)
        if report.counts.episodes_open is not None:
            self.show_open(monitor, report.counts.episodes_open)
        for exceedance in report.counts.exceedances:
            self.anomaly_exceedance_ratio.observe(exceedance)

    def show_open(self, monitor: str, episodes: OpenEpisodes) -> None:
        """Set the numbers and the names of a monitor's open episodes."""
        with self._watching:
            if monitor not in self._settings:
                return
            self.episodes_open.labels(monitor, Severity.WARNING).set(episodes.warning)
            self.episodes_open.labels(monitor, Severity.CRITICAL).set(episodes.critical)
            self.episodes_acknowledged.labels(monitor).set(episodes.acknowledged)
            for severity in Severity:
                unnamed = episodes.unnamed.get(severity, 0)
                self.episodes_unnamed.labels(monitor, severity).set(unnamed)
            if episodes.named != self._named.get(monitor, ()):
                self._named[monitor] = episodes.named
                self.episode_info.remove(monitor)
                for episode in episodes.named:
                    self.episode_info.labels(
                        monitor,
                        episode.severity,
                        episode.id,
                        episode.entity,
                        episode.column,
                        episode.state,
                    ).set(1)

    def _show_entities(self, monitor: str, report: RunReport) -> None:
        """Set the series of the first `entity_metrics` entities; count the other entities.

        An entity that has a series keeps the series, because series that appear and disappear are
        the most expensive series for Prometheus.
        """
        shown = self._entities.setdefault(monitor, set())
        for entity, exceedance in report.counts.by_entity.items():
            if entity in shown or len(shown) < self._settings[monitor].entity_metrics:
                shown.add(entity)
                self.entity_max_exceedance_ratio.labels(monitor, entity).set(exceedance)
            else:
                self.entity_series_left_out.labels(monitor).inc()

    def _show_drift(self, monitor: str, drift: DriftReport) -> None:
        self.detector_provisional.labels(monitor).set(float(drift.provisional))
        self.drift_evidence.labels(monitor).set(drift.evidence)
        self.drifts_open.labels(monitor).set(drift.open)
        self.drifts.labels(monitor).inc(drift.found)
        if drift.largest_index is not None:
            self.drift_psi.labels(monitor).set(drift.largest_index)

    def show_detector(self, stored: StoredDetector, realised: Flagged = _NOTHING) -> None:
        """Set the series of a monitor's active detector; remove the previous detector's series.

        Args:
            stored: the detector.
            realised: numbers of records that the detector has judged and flagged so far, including
                the runs that `observe` has counted.
        """
        with self._watching:
            if stored.monitor in self._settings:
                self._show_detector(stored, realised)

    def _show_detector(self, stored: StoredDetector, realised: Flagged) -> None:
        monitor = stored.monitor
        self.detector_info.remove(monitor)
        self.detector_info.labels(monitor, str(stored.version)).set(1)
        self.detector_trained_timestamp_seconds.labels(monitor).set(stored.trained_at.timestamp())
        self.detector_training_records.labels(monitor).set(stored.training_records)
        self.detector_validation_error.labels(monitor).set(stored.validation_error)
        self.threshold.labels(monitor).set(stored.threshold)
        self.promised_false_alarm_ratio.labels(monitor).set(stored.false_alarm_rate)
        self.cold_start_records.remove(monitor)
        self.cold_start_wanted_records.remove(monitor)
        self._show_realised(monitor, realised)

    def _show_realised(self, monitor: str, realised: Flagged) -> None:
        self._realised[monitor] = realised
        gauge = self.realised_anomaly_ratio
        if realised.share is None:
            gauge.remove(monitor)
        else:
            gauge.labels(monitor).set(realised.share)
