"""Series that begin at 0, so that Prometheus sees the first increase of each series."""

from aemon.config.quiet_settings import QuietSettings
from aemon.metrics.catalogue import Catalogue
from aemon.records import Job, Outcome, Quiet, Severity

SENDING_OUTCOMES = ("sent", "failed", "dead")
REFUSED = (401, 403, 413, 421, 429, 503)
PRUNED = ("scores", "anomalies", "episodes", "trials", "drifts", "runs", "artifacts")
_SOURCE_ERRORS = ("unreachable", "misconfigured", "unfit", "timed_out")
_REJECTED = (
    "no_time", "time_out_of_range", "no_key", "key_too_long", "unreadable", "duplicate_key", "too_late",
    "changed_record", "refused", "lost",
)  # fmt: skip
_RULINGS = ("promote", "reject")
_ENDS = {
    Job.SCORE: frozenset(Outcome) - {Outcome.RUNNING},
    Job.TRAIN: (Outcome.OK, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED),
    Job.PRUNE: (Outcome.OK, Outcome.FAILED, Outcome.TIMED_OUT),
    Job.HINDSIGHT: (),  # no ticks: part of the first scoring run
}
"""The usual outcomes of each job's runs; a rare outcome has no series until it happens."""


def begin_daemon(metrics: Catalogue) -> None:
    """Begin the counters of the daemon at 0."""
    for table in PRUNED:
        metrics.records_pruned.labels(table)
    for status in REFUSED:
        metrics.http_refused.labels(status)
    for result in ("ok", "refused"):
        metrics.config_reloads.labels(result)


def begin_receiver(metrics: Catalogue, receiver: str) -> None:
    """Begin the counters and gauges of a receiver of notifications at 0."""
    for outcome in SENDING_OUTCOMES:
        metrics.notifications.labels(receiver, outcome)
    for gauge in (metrics.notifications_waiting, metrics.notifications_dead):
        gauge.labels(receiver).set(0)


def begin_monitor(metrics: Catalogue, monitor: str, quiet: QuietSettings) -> None:
    """Begin every counter of a monitor at 0.

    The counter of a reason for suppression begins only if the monitor's settings can suppress
    records for this reason.
    """
    for family in metrics.families:
        if family.metric.kind == "counter" and family.metric.labels == ("monitor",):
            family.labels(monitor)
    for job in Job:
        for outcome in _ENDS[job]:
            metrics.runs.labels(monitor, job, outcome)
    for family, values in (
        (metrics.source_errors, _SOURCE_ERRORS),
        (metrics.records_rejected, _REJECTED),
        (metrics.anomalies, tuple(Severity)),
        (metrics.episodes, tuple(Severity)),
        (metrics.trials, _RULINGS),
        (metrics.records_suppressed, tuple(filter(quiet.may_apply, Quiet))),
    ):
        for value in values:
            family.labels(monitor, value)
