"""The alerting rules about a monitor's runs, and about the records that they read."""

from datetime import timedelta

from aemon.config.schema import LATE_RUNS, STALE_AT_LEAST, STALE_PAUSES
from aemon.rules.rule import AT_ONCE, MINUTE, Alert, Played, Scope, played_pause, seconds, two_runs

STALE_SECONDS = 120
FAILED_SHARE = 0.3
MISSED_SHARE = 0.2
CATCHING_UP = timedelta(minutes=30)
"""While a source's history is read, runs are long, and the ticks meanwhile are left out."""
REJECTED_SHARE = 0.01
CHANCE = 1.5
"""One run or record alone is no share of anything; `increase` may tell of it as a little more."""

_SCORE = 'run="score"'
_FAILED, _MISSED = 'outcome=~"failed|timed_out"', 'outcome=~"misfired|skipped"'


def _played_age(scope: Scope) -> timedelta:
    return max(STALE_AT_LEAST, STALE_PAUSES * scope.interval)


def _played_runs(scope: Scope, outcome: str, share: float) -> tuple[Played, ...]:
    """Scoring runs, one a pause, of which a share ended in this way."""
    rate = 1 / scope.usual.total_seconds()
    return (
        Played("aemon_runs_total", {"run": "score", "outcome": "ok"}, 0, rate * (1 - share)),
        Played("aemon_runs_total", {"run": "score", "outcome": outcome}, 0, rate * share),
    )


def _share(scope: Scope, part: tuple[str, ...], of: tuple[str, ...], share: float) -> str:
    some, every = scope.grown(scope.window, *part), scope.grown(scope.window, *of)
    return f"{some}\n> {share} * {every} + {CHANCE}"


def _counted_at(scope: Scope) -> timedelta:
    """When enough has been counted to tell a share of it."""
    return 3 * scope.usual + 10 * MINUTE


def _late(scope: Scope) -> str:
    """Late by the schedule itself: one that stands still at night is not late in the morning."""
    late = scope.most("aemon_run_late_after_timestamp_seconds")
    return f"time() - {late} > {STALE_SECONDS}"


def _well(scope: Scope) -> str:
    return scope.most("aemon_run_last_success_timestamp_seconds", _SCORE)


def _played_late(scope: Scope) -> Played:
    """No run ends well any more."""
    return Played("aemon_run_late_after_timestamp_seconds", {}, LATE_RUNS * seconds(scope))


def _played_well(scope: Scope) -> tuple[Played, ...]:
    """The last run ended two pauses ago, always."""
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
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well lately",
        description="None has since three were due: records are not judged.",
        runbook="aemon doctor says what is wrong; aemon status shows the last run and its reason.",
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
        description="The daemon lives, but no run of this monitor has ended well since it started.",
        runbook="aemon check reads its source; aemon doctor says what is wrong.",
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
        summary="{{ $labels.monitor }} is watched by no daemon",
        description="No daemon holds its lease.",
        runbook="aemon doctor lists the replicas and what each of them watches.",
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
        description="The newest record is older than stale_after: whoever writes them may have "
        "stopped, or the source is read with a long delay.",
        runbook="aemon doctor says how old the newest record is; look whether rows still come in. "
        "Where they come only now and then, raise stale_after, or set it to never.",
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
        summary="{{ $labels.monitor }}: an entity has fallen silent, or more than one",
        description="They have sent none for longer than ever in training, while others do: a device, "
        "its sensor or its connection may be down.",
        runbook="aemon status names them. Where an entity was taken out of service, its next training "
        "forgets it; silent_after sets how long is too long, or never.",
        fires=(Played("aemon_entities_silent", {}, 1),),
        calm=(Played("aemon_entities_silent", {}, 0),),
        waits=True,
    ),
    Alert(
        name="AemonRecordRate",
        severity="info",
        expression=lambda s: f"{s.most('aemon_records_rate_unusual')} > 0",
        hold=two_runs,
        summary="{{ $labels.monitor }}: an unusual number of records comes",
        description="Less than half of the fewest, or more than twice the most records come that any "
        "stretch of the training had.",
        runbook="aemon status says how many; look whether some are lost on the way, or sent twice. "
        "watch_rate: false tells of none.",
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
        description=f"More than {FAILED_SHARE:.0%} of its last runs failed. What they could not read "
        "is read later.",
        runbook="The reason is in the ledger: SELECT finished_at, outcome, reason FROM runs WHERE "
        "monitor = '{{ $labels.monitor }}' ORDER BY finished_at DESC; or ask aemon doctor.",
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
        summary="{{ $labels.monitor }}: many ticks are not run",
        description=f"More than {MISSED_SHARE:.0%} of its last ticks were misfired or skipped: the "
        "daemon is overloaded, its store is away, or runs take longer than the pause between them.",
        runbook="aemon doctor; SELECT outcome, reason FROM runs WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY finished_at DESC. Raise score_every, or share the work with another daemon.",
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
        summary="{{ $labels.monitor }}: records cannot be judged",
        description=f"More than {REJECTED_SHARE:.0%} of the records read were rejected: they have no "
        "time or no key, a key twice, or came too late.",
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
