"""How long rules for monitors wait: by their own pause between runs."""

from datetime import timedelta

from aemon.alerts.rule import Played, Scope

MINUTE = timedelta(minutes=1)


def at_once(_scope: Scope) -> timedelta:
    """No waiting."""
    return timedelta(0)


def two_runs(scope: Scope) -> timedelta:
    """Two runs' time, five minutes at least."""
    return max(5 * MINUTE, 2 * scope.usual)


def seconds(scope: Scope) -> float:
    """The pause between runs, in seconds."""
    return scope.interval.total_seconds()


def played_pause(scope: Scope) -> Played:
    """The series by which Prometheus knows that pause."""
    labels = {"run": "score"}
    return Played("aemon_run_interval_seconds", labels, seconds(scope))
