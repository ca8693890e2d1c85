"""The alerting rules about a monitor's runs, its source and the records it reads."""

from datetime import timedelta

from aemon.config.schema import LATE_RUNS, STALE_AT_LEAST, STALE_PAUSES
from aemon.rules.rule import AT_ONCE, MINUTE, Alert, Played, Scope, played_pause, seconds, two_runs

STALE_SECONDS = 120
FAILED_SHARE = 0.3
MISSED_SHARE = 0.2
CATCHING_UP = timedelta(minutes=30)
"""Time to read a source's history. Runs are long then, and the ticks during a run are skipped."""
REJECTED_SHARE = 0.01
CHANCE = 1.5
"""A rule adds this number to a share, so that a single run or record never exceeds the share. It is
more than 1, because `increase` may extrapolate a single run or record to more than 1."""

_SCORE = 'run="score"'
_FAILED, _MISSED = 'outcome=~"failed|timed_out"', 'outcome=~"misfired|skipped"'


def _played_age(scope: Scope) -> timedelta:
    return max(STALE_AT_LEAST, STALE_PAUSES * scope.interval)


def _played_runs(scope: Scope, outcome: str, share: float) -> tuple[Played, ...]:
    """Return series for a test: a scoring run in each pause; a share of the runs has `outcome`."""
    rate = 1 / scope.usual.total_seconds()
    return (
        Played("aemon_runs_total", {"run": "score", "outcome": "ok"}, 0, rate * (1 - share)),
        Played("aemon_runs_total", {"run": "score", "outcome": outcome}, 0, rate * share),
    )


def _share(scope: Scope, part: tuple[str, ...], of: tuple[str, ...], share: float) -> str:
    counted, total = scope.grown(scope.window, *part), scope.grown(scope.window, *of)
    return f"{counted}\n> {share} * {total} + {CHANCE}"


def _counted_at(scope: Scope) -> timedelta:
    """Return how long a test plays series until enough runs are counted to compare a share."""
    return 3 * scope.usual + 10 * MINUTE


def _late(scope: Scope) -> str:
    """Return PromQL that selects the monitors whose scoring run is overdue by their schedule.

    So a monitor whose schedule has no runs at night is not overdue in the morning.
    """
    late = scope.most("aemon_run_late_after_timestamp_seconds")
    return f"time() - {late} > {STALE_SECONDS}"


def _well(scope: Scope) -> str:
    return scope.most("aemon_run_last_success_timestamp_seconds", _SCORE)


def _played_late(scope: Scope) -> Played:
    """Return the series of a monitor whose runs no longer end well."""
    return Played("aemon_run_late_after_timestamp_seconds", {}, LATE_RUNS * seconds(scope))


def _played_well(scope: Scope) -> tuple[Played, ...]:
    """Return the series of a monitor whose last good run is always two pauses old."""
    last = "aemon_run_last_success_timestamp_seconds"
    return (
        Played(last, {"run": "score"}, -2 * seconds(scope), 1),
        Played("aemon_run_late_after_timestamp_seconds", {}, seconds(scope), 1),
        played_pause(scope),
    )


def _late_at(scope: Scope) -> timedelta:
    return LATE_RUNS * scope.interval + timedelta(seconds=STALE_SECONDS)


RUN_ALERTS = (
    Alert(
        name="AemonMonitorStale",
        severity="critical",
        expression=lambda s: f"{_late(s)}\nand on (monitor) {_well(s)}",
        hold=AT_ONCE,
        summary="{{ $labels.monitor }} is not watched: no recent scoring run ended well",
        description="Three scoring runs were due, and none ended well: records are not judged.",
        runbook="aemon doctor shows what is wrong; aemon status shows the last run and its reason.",
        fires=lambda scope: (
            Played("aemon_run_last_success_timestamp_seconds", {"run": "score"}),
            _played_late(scope),
            played_pause(scope),
        ),
        calm=_played_well,
        after=_late_at,
        waits=True,
    ),
    Alert(
        name="AemonMonitorNeverRan",
        severity="critical",
        expression=lambda s: f"{_late(s)}\nunless on (monitor) {_well(s)}",
        hold=3 * MINUTE,
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well since the start",
        description="The daemon runs, but no scoring run of this monitor has ended well since the "
        "daemon started.",
        runbook="aemon check tests its source; aemon doctor shows what is wrong.",
        fires=lambda scope: (_played_late(scope), played_pause(scope)),
        calm=lambda scope: (
            Played("aemon_run_last_success_timestamp_seconds", {"run": "score"}),
            _played_late(scope),
            played_pause(scope),
        ),
        after=_late_at,
        waits=True,
    ),
    Alert(
        name="AemonMonitorUnwatched",
        severity="critical",
        expression=lambda s: f"{s.most('aemon_lease_held')} == 0",
        hold=two_runs,
        summary="No daemon watches {{ $labels.monitor }}",
        description="No daemon holds the lease of this monitor: its records are not judged.",
        runbook="aemon doctor lists the replicas and the monitors of each.",
        fires=(Played("aemon_lease_held", {}, 0),),
        calm=(Played("aemon_lease_held", {}, 1),),
        waits=True,
    ),
    Alert(
        name="AemonSourceStale",
        severity="warning",
        expression=lambda s: (
            f"time() - {s.most('aemon_source_newest_record_timestamp_seconds')}\n"
            f"> {s.most('aemon_source_stale_after_seconds')}"
        ),
        hold=two_runs,
        summary="{{ $labels.monitor }}: its source has no new records",
        description="The newest record is older than stale_after: the program that writes the "
        "records may have stopped, or records arrive with a long delay.",
        runbook="aemon doctor shows the age of the newest record. Check whether records are still "
        "written. If records are rare, raise stale_after, or set it to never.",
        fires=lambda scope: (
            Played("aemon_source_newest_record_timestamp_seconds"),
            Played("aemon_source_stale_after_seconds", {}, _played_age(scope).total_seconds()),
        ),
        calm=lambda scope: (
            Played("aemon_source_newest_record_timestamp_seconds", {}, -2 * seconds(scope), 1),
            Played("aemon_source_stale_after_seconds", {}, _played_age(scope).total_seconds()),
        ),
        after=_played_age,
        waits=True,
    ),
    Alert(
        name="AemonEntitySilent",
        severity="warning",
        expression=lambda s: f"{s.most('aemon_entities_silent')} > 0",
        hold=two_runs,
        summary="{{ $labels.monitor }}: at least one entity sends no records",
        description="An entity has been silent for much longer than its longest pause in the "
        "training records, while other entities send records. A device, its sensor or its "
        "connection may be down.",
        runbook="aemon status names the silent entities. The next training forgets an entity that "
        "was taken out of service. silent_after sets after which time an entity counts as silent; "
        "the value never turns this off.",
        fires=(Played("aemon_entities_silent", {}, 1),),
        calm=(Played("aemon_entities_silent", {}, 0),),
        waits=True,
    ),
    Alert(
        name="AemonRecordRate",
        severity="info",
        expression=lambda s: f"{s.most('aemon_records_rate_unusual')} > 0",
        hold=two_runs,
        summary="{{ $labels.monitor }}: an unusual number of records arrives",
        description="The number is below half of the smallest number, or above twice the largest "
        "number, that the training records have in a period of this length.",
        runbook="aemon status shows the number. Check whether records are lost on the way, or sent "
        "twice. watch_rate: false turns this off.",
        fires=(Played("aemon_records_rate_unusual", {}, 1),),
        calm=(Played("aemon_records_rate_unusual", {}, 0),),
        waits=True,
    ),
    Alert(
        name="AemonRunsFail",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_runs_total", _SCORE, _FAILED), ("aemon_runs_total", _SCORE), FAILED_SHARE
        ),
        hold=MINUTE,
        summary="{{ $labels.monitor }}: many scoring runs fail",
        description=f"More than {FAILED_SHARE:.0%} of the monitor's last runs failed. Records that "
        "a failed run did not read are read later.",
        runbook="The reason is in the ledger: SELECT finished_at, outcome, reason FROM runs WHERE "
        "monitor = '{{ $labels.monitor }}' ORDER BY finished_at DESC; aemon doctor shows it, too.",
        fires=lambda scope: _played_runs(scope, "failed", 0.9),
        calm=lambda scope: _played_runs(scope, "failed", 0.1),
        after=_counted_at,
    ),
    Alert(
        name="AemonRunsMissed",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_runs_total", _SCORE, _MISSED), ("aemon_runs_total", _SCORE), MISSED_SHARE
        ),
        hold=lambda scope: max(CATCHING_UP, 2 * scope.usual),
        summary="{{ $labels.monitor }}: many scheduled runs do not take place",
        description=f"More than {MISSED_SHARE:.0%} of the monitor's last scheduled runs started too "
        "late or were skipped. The daemon is overloaded, its store cannot be reached, or runs take "
        "longer than the pause between them.",
        runbook="aemon doctor; SELECT outcome, reason FROM runs WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY finished_at DESC. Raise score_every, or add another daemon to share the work.",
        fires=lambda scope: _played_runs(scope, "misfired", 0.9),
        calm=lambda scope: _played_runs(scope, "misfired", 0.1),
        after=_counted_at,
    ),
    Alert(
        name="AemonRecordsRejected",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_records_rejected_total",), ("aemon_source_records_read_total",),
            REJECTED_SHARE,
        ),
        hold=two_runs,
        summary="{{ $labels.monitor }}: records are rejected and not judged",
        description=f"More than {REJECTED_SHARE:.0%} of the records read were rejected: they have no "
        "time, no key or a duplicate key, or came too late.",
        runbook='See the reasons: sum by (reason) (increase(aemon_records_rejected_total{monitor="'
        '{{ $labels.monitor }}"}[1h])); aemon check shows what is read.',
        fires=(
            Played("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0.1),
            Played("aemon_source_records_read_total", {}, 0, 1),
        ),
        calm=(
            Played("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0),
            Played("aemon_source_records_read_total", {}, 0, 1),
        ),
        after=_counted_at,
    ),
)  # fmt: skip
