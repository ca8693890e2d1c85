"""The metrics there are: from here they are made, documented and tested."""

from dataclasses import dataclass
from typing import Literal

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
        "aemon_config_reloads", "counter", ("outcome",),
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
        "aemon_http_refused", "counter", ("status",),
        "HTTP requests that were refused: 401 without credentials, 403 without permission, 413 with "
        "too large a body, 429 for there were too many",
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
    Metric(
        "aemon_monitor_info", "gauge", ("monitor", "source", "detector"),
        "1, labelled with the kinds of its source and of its detector",
    ),
    Metric("aemon_runs", "counter", ("monitor", "run", "outcome"), "runs by how they ended"),
    Metric("aemon_run_duration_seconds", "histogram", ("run",), "how long runs took", _SECONDS),
    Metric(
        "aemon_run_last_success_timestamp_seconds", "gauge", ("monitor", "run"),
        "when a run last ended well (ok, no_data or collecting)",
    ),
    Metric("aemon_run_interval_seconds", "gauge", ("monitor", "run"), "longest pause between runs"),
    Metric(
        "aemon_run_late_after_timestamp_seconds", "gauge", ("monitor",),
        "until when a scoring run has to end well: the third one is due by then, and half of score_timeout is over",
    ),
    Metric("aemon_source_records_read", "counter", ("monitor",), "records the source returned"),
    Metric(
        "aemon_source_errors", "counter", ("monitor", "reason"),
        "runs that failed to read the source: unreachable, misconfigured, unfit records, timed_out",
    ),
    Metric(
        "aemon_source_newest_record_timestamp_seconds", "gauge", ("monitor",),
        "event time of the newest record read",
    ),
    Metric(
        "aemon_source_stale_after_seconds", "gauge", ("monitor",),
        "a newest record older than this makes a source stale; none where that never is",
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
        "aemon_episodes_open", "gauge", ("monitor", "severity"),
        "episodes that were told, are not closed, and that nobody has acknowledged",
    ),
    Metric(
        "aemon_episodes_acknowledged", "gauge", ("monitor",),
        "episodes that somebody has acknowledged and that are not closed",
    ),
    Metric(
        "aemon_notifications", "counter", ("receiver", "outcome"),
        "tries to tell a receiver: sent, failed (it is tried again) or dead (given up)",
    ),
    Metric(
        "aemon_notifications_waiting", "gauge", ("receiver",),
        "notifications in the store that a receiver has not taken yet",
    ),
    Metric(
        "aemon_notifications_dead", "gauge", ("receiver",),
        "notifications in the store that were given up",
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
        "aemon_entity_max_exceedance_ratio", "gauge", ("monitor", "entity"),
        "the same of one entity, in the last run that scored it; only where entity_metrics asks for it",
    ),
    Metric(
        "aemon_entity_series_left_out", "counter", ("monitor",),
        "times that an entity was not shown, for there are more than entity_metrics",
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
        "aemon_detector_stale_after_seconds", "gauge", ("monitor",),
        "an active detector older than this should have been replaced: three times train_every and two trials",
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
        "log10 of the evidence that records have become odder; normal life reaches 2 once in 100 times",
    ),
    Metric(
        "aemon_drift_psi", "gauge", ("monitor",),
        "largest population stability index of a column, chance taken off",
    ),
    Metric(
        "aemon_drifts_open", "gauge", ("monitor",), "changes of normal life that are not over"
    ),
    Metric("aemon_drifts", "counter", ("monitor",), "changes of normal life that were found"),
    Metric(
        "aemon_feedback_waiting", "gauge", ("monitor",),
        "things that were said of records and that no training has taken up",
    ),
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
