"""The metrics there are: from here they are made, documented and tested."""

from prometheus_client import CollectorRegistry, Histogram

from aemon.metrics.declaring import Declared, counter, gauge, histogram
from aemon.metrics.series import Family, Metric

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_RATIOS = (1, 1.25, 1.5, 2, 3, 5, 10, 30, 100)


class Catalogue:
    """Every metric, as the attribute of its name without `aemon_`; an instance holds their series.

    Args:
        registry: gets every metric.

    Attributes:
        families: the counters and gauges, in the order of their declaration.
        others: a registry of the histograms, which have few series.
    """

    # fmt: off
    build_info = gauge("aemon_build_info", ("version",), "1, labelled with the running version")
    config_reloads = counter(
        "aemon_config_reloads", ("outcome",),
        "times the configuration was read again: ok, or refused for what is wrong in it",
    )
    config_last_reload_successful = gauge(
        "aemon_config_last_reload_successful", (),
        "1 if the configuration in its file is the one in use, 0 if it was refused",
    )
    config_last_reload_success_timestamp_seconds = gauge(
        "aemon_config_last_reload_success_timestamp_seconds", (),
        "when the configuration in use was read",
    )
    scheduler_heartbeat_timestamp_seconds = gauge(
        "aemon_scheduler_heartbeat_timestamp_seconds", (),
        "when the scheduler last showed that it lives",
    )
    http_refused = counter(
        "aemon_http_refused", ("status",),
        "HTTP requests that were refused: 401 without credentials, 403 without permission, 413 with "
        "too large a body, 421 under a name that http.hosts does not list, 429 for there were too "
        "many, 503 for all connections were busy",
    )
    lease_held = gauge(
        "aemon_lease_held", ("monitor",),
        "1 where this daemon watches the monitor, 0 where another does or none",
    )
    leases_lost = counter(
        "aemon_leases_lost", (),
        "monitors that another daemon took, for this one had not said that it lives",
    )
    replicas_live = gauge("aemon_replicas_live", (), "daemons that share this store and live")
    monitor_info = gauge(
        "aemon_monitor_info", ("monitor", "source", "detector"),
        "1, labelled with the kinds of its source and of its detector",
    )
    runs = counter("aemon_runs", ("monitor", "run", "outcome"), "runs by how they ended")
    run_duration_seconds = histogram("aemon_run_duration_seconds", ("run",), "how long runs took", _SECONDS)
    run_last_success_timestamp_seconds = gauge(
        "aemon_run_last_success_timestamp_seconds", ("monitor", "run"),
        "when a run last ended well (ok, no_data or collecting)",
    )
    run_interval_seconds = gauge("aemon_run_interval_seconds", ("monitor", "run"), "longest pause between runs")
    run_late_after_timestamp_seconds = gauge(
        "aemon_run_late_after_timestamp_seconds", ("monitor",),
        "until when a scoring run has to end well: the third one is due by then, and half of score_timeout is over",
    )
    source_records_read = counter("aemon_source_records_read", ("monitor",), "records the source returned")
    source_keys_given_up = counter(
        "aemon_source_keys_given_up", ("monitor",),
        "whole-numbered keys that were missing below the newest one for ten minutes: rows rolled back, deleted or lost",
    )
    source_errors = counter(
        "aemon_source_errors", ("monitor", "reason"),
        "runs that failed to read the source: unreachable, misconfigured, unfit records, timed_out",
    )
    source_newest_record_timestamp_seconds = gauge(
        "aemon_source_newest_record_timestamp_seconds", ("monitor",),
        "event time of the newest record read",
    )
    source_stale_after_seconds = gauge(
        "aemon_source_stale_after_seconds", ("monitor",),
        "a newest record older than this makes a source stale; none where that never is",
    )
    entities_silent = gauge(
        "aemon_entities_silent", ("monitor",),
        "entities that send no records for longer than ever in training, while others do",
    )
    records_rate_unusual = gauge(
        "aemon_records_rate_unusual", ("monitor",),
        "1 while many more or many fewer records come per time than ever in training, else 0",
    )
    records_scored = counter("aemon_records_scored", ("monitor",), "records that got a verdict")
    records_rejected = counter(
        "aemon_records_rejected", ("monitor", "reason"),
        "records that could not be judged",
    )
    records_idle = counter(
        "aemon_records_idle", ("monitor",),
        "records that were not judged, for columns.only_when does not hold or has not for long enough",
    )
    records_late = counter(
        "aemon_records_late", ("monitor",),
        "scored records older than one read before them",
    )
    records_revised = counter(
        "aemon_records_revised", ("monitor",),
        "records judged again, for they changed or by choice",
    )
    records_reviewed = counter(
        "aemon_records_reviewed", ("monitor",),
        "known records read again to look for late and corrected ones",
    )
    cells_imputed = counter("aemon_cells_imputed", ("monitor",), "missing cells in scored records")
    anomalies = counter("aemon_anomalies", ("monitor", "severity"), "records judged anomalous")
    records_suppressed = counter(
        "aemon_records_suppressed", ("monitor", "reason"),
        "records over the line that were kept quiet, by why",
    )
    episodes = counter(
        "aemon_episodes", ("monitor", "severity"),
        "episodes that were told, by their severity then",
    )
    episodes_open = gauge(
        "aemon_episodes_open", ("monitor", "severity"),
        "episodes that were told, are not closed, and that nobody has acknowledged",
    )
    episodes_acknowledged = gauge(
        "aemon_episodes_acknowledged", ("monitor",),
        "episodes that somebody has acknowledged and that are not closed",
    )
    episode_info = gauge(
        "aemon_episode_info", ("monitor", "severity", "episode", "entity", "column", "state"),
        "1 for each of the first 20 episodes that are not closed, by severity, and of those told in "
        "the last five minutes; labelled with the column most to blame",
    )
    episodes_unnamed = gauge(
        "aemon_episodes_unnamed", ("monitor", "severity"),
        "episodes that are not closed, beyond those that aemon_episode_info names",
    )
    notifications = counter(
        "aemon_notifications", ("receiver", "outcome"),
        "tries to tell a receiver: sent, failed (it is tried again) or dead (given up)",
    )
    notifications_waiting = gauge(
        "aemon_notifications_waiting", ("receiver",),
        "notifications in the store that a receiver has not taken yet",
    )
    notifications_dead = gauge(
        "aemon_notifications_dead", ("receiver",),
        "notifications in the store that were given up",
    )
    anomaly_exceedance_ratio = histogram(
        "aemon_anomaly_exceedance_ratio", (),
        "score over threshold of records judged anomalous", _RATIOS,
    )
    last_run_max_exceedance_ratio = gauge(
        "aemon_last_run_max_exceedance_ratio", ("monitor",),
        "largest score over threshold in the last run that scored; 1 is the line",
    )
    entity_max_exceedance_ratio = gauge(
        "aemon_entity_max_exceedance_ratio", ("monitor", "entity"),
        "the same of one entity, in the last run that scored it; only where entity_metrics asks for it",
    )
    entity_series_left_out = counter(
        "aemon_entity_series_left_out", ("monitor",),
        "times that an entity was not shown, for there are more than entity_metrics",
    )
    promised_false_alarm_ratio = gauge(
        "aemon_promised_false_alarm_ratio", ("monitor",),
        "share of normal records that may be flagged, as promised",
    )
    realised_anomaly_ratio = gauge(
        "aemon_realised_anomaly_ratio", ("monitor",),
        "share of the records the active detector could judge that it flagged, rightly or not",
    )
    cold_start_records = gauge(
        "aemon_cold_start_records", ("monitor",),
        "records there are for the first training; gone once there is a detector",
    )
    cold_start_wanted_records = gauge(
        "aemon_cold_start_wanted_records", ("monitor",),
        "records the first training waits for; gone once there is a detector",
    )
    detector_info = gauge(
        "aemon_detector_info", ("monitor", "version"), "1, labelled with the active version"
    )
    detector_trained_timestamp_seconds = gauge(
        "aemon_detector_trained_timestamp_seconds", ("monitor",),
        "when the active detector was trained",
    )
    detector_stale_after_seconds = gauge(
        "aemon_detector_stale_after_seconds", ("monitor",),
        "an active detector older than this should have been replaced: three times train_every and two trials",
    )
    detector_training_records = gauge(
        "aemon_detector_training_records", ("monitor",),
        "records that shaped the active detector's weights",
    )
    detector_validation_error = gauge(
        "aemon_detector_validation_error", ("monitor",),
        "mean squared reconstruction error on held-out normal records",
    )
    detector_provisional = gauge(
        "aemon_detector_provisional", ("monitor",),
        "1 while too few records set the threshold to show the promised rate",
    )
    trials = counter(
        "aemon_trials", ("monitor", "ruling"),
        "detectors on trial that were promoted or rejected",
    )
    drift_evidence = gauge(
        "aemon_drift_evidence", ("monitor",),
        "log10 of the evidence that records have become odder; normal life reaches 2 once in 100 times",
    )
    drift_psi = gauge(
        "aemon_drift_psi", ("monitor",),
        "largest population stability index of a column, chance taken off",
    )
    drifts_open = gauge(
        "aemon_drifts_open", ("monitor",), "changes of normal life that are not over"
    )
    drifts = counter("aemon_drifts", ("monitor",), "changes of normal life that were found")
    feedback_waiting = gauge(
        "aemon_feedback_waiting", ("monitor",),
        "things that were said of records and that no training has taken up",
    )
    threshold = gauge("aemon_threshold", ("monitor",), "scores above this are anomalous")
    store_errors = counter("aemon_store_errors", (), "times the store could not be read or written")
    store_up = gauge("aemon_store_up", (), "1 while the store can be written, 0 while it cannot")
    store_retry_timestamp_seconds = gauge(
        "aemon_store_retry_timestamp_seconds", (),
        "when the store is tried again; 0 while it can be written",
    )
    store_write_duration_seconds = histogram(
        "aemon_store_write_duration_seconds", (),
        "how long it took to commit verdicts, their writing included", _SECONDS,
    )
    ledger_waiting_runs = gauge(
        "aemon_ledger_waiting_runs", (),
        "ended runs that wait to be written into the ledger",
    )
    records_pruned = counter(
        "aemon_records_pruned", ("table",), "rows that retention has removed",
    )
    # fmt: on

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.families: list[Family] = []
        self.others = CollectorRegistry()
        for attribute, metric in _DECLARED.items():
            vars(self)[attribute] = self._make(metric)

    def _make(self, metric: Metric) -> Family | Histogram:
        if metric.kind != "histogram":
            family = Family(metric, self.registry)
            self.families.append(family)
            return family
        made = Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self.others
        )
        self.registry.register(made)
        return made


_DECLARED = {
    attribute: value.metric
    for attribute, value in vars(Catalogue).items()
    if isinstance(value, Declared)
}
CATALOGUE = tuple(_DECLARED.values())
"""What is declared, in that order."""
