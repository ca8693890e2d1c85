"""The list of all metrics; metrics are made, documented and tested from this list."""

from prometheus_client import CollectorRegistry, Histogram

from aemon.metrics.declaring import Declared, counter, gauge, histogram
from aemon.metrics.series import Family, Metric

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_RATIOS = (1, 1.25, 1.5, 2, 3, 5, 10, 30, 100)


class Catalogue:
    """All metrics; each metric is an attribute, which has the metric's name without `aemon_`.

    An instance of the class holds the series of the metrics.

    Args:
        registry: the registry in which every metric is registered.

    Attributes:
        families: the counters and gauges, in the order of their declaration.
        others: a registry of the histograms, which have few series.
    """

    # fmt: off
    build_info = gauge("aemon_build_info", ("version",), "1, labelled with the running version")
    config_reloads = counter(
        "aemon_config_reloads", ("outcome",),
        "reloads of the configuration: ok, or refused because of an error",
    )
    config_last_reload_successful = gauge(
        "aemon_config_last_reload_successful", (),
        "1 if the configuration file is in use, 0 if it was refused",
    )
    config_last_reload_success_timestamp_seconds = gauge(
        "aemon_config_last_reload_success_timestamp_seconds", (),
        "time when the configuration in use was read",
    )
    scheduler_heartbeat_timestamp_seconds = gauge(
        "aemon_scheduler_heartbeat_timestamp_seconds", (),
        "time of the scheduler's last heartbeat",
    )
    http_refused = counter(
        "aemon_http_refused", ("status",),
        "refused HTTP requests: 401 no valid credentials, 403 no permission, 413 body too large, "
        "421 host name not in http.hosts, 429 rate limit exceeded, 503 all connections busy",
    )
    lease_held = gauge(
        "aemon_lease_held", ("monitor",),
        "1 if this daemon watches the monitor, else 0",
    )
    leases_lost = counter(
        "aemon_leases_lost", (),
        "monitors taken over by another daemon after this daemon missed its heartbeat",
    )
    replicas_live = gauge("aemon_replicas_live", (), "live daemons that share this store")
    monitor_info = gauge(
        "aemon_monitor_info", ("monitor", "source", "detector"),
        "1, labelled with the kind of the source and of the detector",
    )
    runs = counter("aemon_runs", ("monitor", "run", "outcome"), "ended runs, by outcome")
    run_duration_seconds = histogram("aemon_run_duration_seconds", ("run",), "duration of runs", _SECONDS)
    run_last_success_timestamp_seconds = gauge(
        "aemon_run_last_success_timestamp_seconds", ("monitor", "run"),
        "time when a run last ended well (ok, no_data or collecting)",
    )
    run_interval_seconds = gauge("aemon_run_interval_seconds", ("monitor", "run"), "longest pause between runs")
    run_late_after_timestamp_seconds = gauge(
        "aemon_run_late_after_timestamp_seconds", ("monitor",),
        "time by which a scoring run must end well: half of score_timeout after the third tick since the last success",
    )
    source_records_read = counter("aemon_source_records_read", ("monitor",), "records that the source returned")
    source_keys_given_up = counter(
        "aemon_source_keys_given_up", ("monitor",),
        "integer keys that are still missing after ten minutes: their rows were rolled back, deleted or lost",
    )
    source_errors = counter(
        "aemon_source_errors", ("monitor", "reason"),
        "runs that could not read the source: unreachable, misconfigured, unfit records, timed_out",
    )
    source_newest_record_timestamp_seconds = gauge(
        "aemon_source_newest_record_timestamp_seconds", ("monitor",),
        "event time of the newest record read",
    )
    source_stale_after_seconds = gauge(
        "aemon_source_stale_after_seconds", ("monitor",),
        "largest age of the newest record before the source is stale; absent if the source is never stale",
    )
    entities_silent = gauge(
        "aemon_entities_silent", ("monitor",),
        "entities without a record for an unusually long time, while other entities send",
    )
    records_rate_unusual = gauge(
        "aemon_records_rate_unusual", ("monitor",),
        "1 while far more or far fewer records arrive than at any time in training, else 0",
    )
    records_scored = counter("aemon_records_scored", ("monitor",), "records that got a verdict")
    records_rejected = counter(
        "aemon_records_rejected", ("monitor", "reason"),
        "records that could not be judged",
    )
    records_idle = counter(
        "aemon_records_idle", ("monitor",),
        "records not judged because columns.only_when does not hold, or has not held for long enough",
    )
    records_late = counter(
        "aemon_records_late", ("monitor",),
        "scored records that are older than a record read before them",
    )
    records_revised = counter(
        "aemon_records_revised", ("monitor",),
        "records judged again, after a change of the record or on request",
    )
    records_reviewed = counter(
        "aemon_records_reviewed", ("monitor",),
        "known records read again in the search for late and corrected records",
    )
    cells_imputed = counter("aemon_cells_imputed", ("monitor",), "missing cells in scored records")
    anomalies = counter("aemon_anomalies", ("monitor", "severity"), "records judged anomalous")
    records_suppressed = counter(
        "aemon_records_suppressed", ("monitor", "reason"),
        "records above the threshold that were suppressed, by reason",
    )
    episodes = counter(
        "aemon_episodes", ("monitor", "severity"),
        "reported episodes, by their severity at that time",
    )
    episodes_open = gauge(
        "aemon_episodes_open", ("monitor", "severity"),
        "reported episodes that are neither closed nor acknowledged",
    )
    episodes_acknowledged = gauge(
        "aemon_episodes_acknowledged", ("monitor",),
        "acknowledged episodes that are not closed",
    )
    episode_info = gauge(
        "aemon_episode_info", ("monitor", "severity", "episode", "entity", "column", "state"),
        "1 for each of up to 20 episodes of each severity: episodes that are not closed, then closed "
        "episodes reported in the last five minutes; labelled with the column most to blame",
    )
    episodes_unnamed = gauge(
        "aemon_episodes_unnamed", ("monitor", "severity"),
        "episodes that are not closed and not named by aemon_episode_info",
    )
    notifications = counter(
        "aemon_notifications", ("receiver", "outcome"),
        "attempts to notify a receiver: sent, failed (tried again) or dead (given up)",
    )
    notifications_waiting = gauge(
        "aemon_notifications_waiting", ("receiver",),
        "notifications in the store that a receiver has not accepted yet",
    )
    notifications_dead = gauge(
        "aemon_notifications_dead", ("receiver",),
        "notifications in the store that were given up",
    )
    anomaly_exceedance_ratio = histogram(
        "aemon_anomaly_exceedance_ratio", (),
        "score divided by threshold, for records judged anomalous", _RATIOS,
    )
    last_run_max_exceedance_ratio = gauge(
        "aemon_last_run_max_exceedance_ratio", ("monitor",),
        "largest score divided by threshold in the last run that scored; 1 is the threshold",
    )
    entity_max_exceedance_ratio = gauge(
        "aemon_entity_max_exceedance_ratio", ("monitor", "entity"),
        "largest score divided by threshold of one entity, in the last run that scored the entity; needs entity_metrics",
    )
    entity_series_left_out = counter(
        "aemon_entity_series_left_out", ("monitor",),
        "times that an entity was not shown, because there are more entities than entity_metrics",
    )
    promised_false_alarm_ratio = gauge(
        "aemon_promised_false_alarm_ratio", ("monitor",),
        "target rate: share of normal records that may be flagged",
    )
    realised_anomaly_ratio = gauge(
        "aemon_realised_anomaly_ratio", ("monitor",),
        "realised rate: share of the judged records that the active detector flagged, rightly or not",
    )
    cold_start_records = gauge(
        "aemon_cold_start_records", ("monitor",),
        "records available for the first training; absent once there is a detector",
    )
    cold_start_wanted_records = gauge(
        "aemon_cold_start_wanted_records", ("monitor",),
        "records that the first training needs; absent once there is a detector",
    )
    detector_info = gauge(
        "aemon_detector_info", ("monitor", "version"), "1, labelled with the active version"
    )
    detector_trained_timestamp_seconds = gauge(
        "aemon_detector_trained_timestamp_seconds", ("monitor",),
        "time when the active detector was trained",
    )
    detector_stale_after_seconds = gauge(
        "aemon_detector_stale_after_seconds", ("monitor",),
        "age above which the active detector is overdue: three times train_every plus two trials",
    )
    detector_training_records = gauge(
        "aemon_detector_training_records", ("monitor",),
        "records that trained the active detector",
    )
    detector_validation_error = gauge(
        "aemon_detector_validation_error", ("monitor",),
        "mean squared reconstruction error on held-out normal records",
    )
    detector_provisional = gauge(
        "aemon_detector_provisional", ("monitor",),
        "1 while the calibration records are too few to show the target rate",
    )
    trials = counter(
        "aemon_trials", ("monitor", "ruling"),
        "ended trials of detectors: promoted or rejected",
    )
    drift_evidence = gauge(
        "aemon_drift_evidence", ("monitor",),
        "log10 of the evidence that scores have risen; normal data reaches 2 with a chance of 1 in 100",
    )
    drift_psi = gauge(
        "aemon_drift_psi", ("monitor",),
        "largest population stability index of a column, minus the value expected by chance",
    )
    drifts_open = gauge(
        "aemon_drifts_open", ("monitor",), "drifts that have not ended"
    )
    drifts = counter("aemon_drifts", ("monitor",), "drifts found")
    feedback_waiting = gauge(
        "aemon_feedback_waiting", ("monitor",),
        "feedback entries not yet used in training",
    )
    threshold = gauge("aemon_threshold", ("monitor",), "a score above this threshold is anomalous")
    store_errors = counter("aemon_store_errors", (), "failed reads and writes of the store")
    store_up = gauge("aemon_store_up", (), "1 while the store can be written, 0 while it cannot")
    store_retry_timestamp_seconds = gauge(
        "aemon_store_retry_timestamp_seconds", (),
        "time of the next attempt to write the store; 0 while it can be written",
    )
    store_write_duration_seconds = histogram(
        "aemon_store_write_duration_seconds", (),
        "time to write and commit verdicts", _SECONDS,
    )
    ledger_waiting_runs = gauge(
        "aemon_ledger_waiting_runs", (),
        "ended runs that are not yet written into the ledger",
    )
    records_pruned = counter(
        "aemon_records_pruned", ("table",), "rows removed by retention",
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
"""The declared metrics, in the order of their declaration."""
