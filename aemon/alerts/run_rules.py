"""The alerting rules about a monitor's runs, and about the records that they read."""

from datetime import timedelta

from aemon.alerts.patience import MINUTE, at_once, played_pause, seconds, two_runs
from aemon.alerts.rule import Alert, Played, Scope

STALE_RUNS = 3
STALE_SECONDS = 120
FAILED_SHARE = 0.3
MISSED_SHARE = 0.2
REJECTED_SHARE = 0.01

_SCORE = 'run="score"'
_FAILED, _MISSED = 'outcome=~"failed|timed_out"', 'outcome=~"misfired|skipped"'


def _played_age(scope: Scope) -> timedelta:
    return max(15 * MINUTE, 3 * scope.interval)


def _played_runs(scope: Scope, outcome: str, share: float) -> tuple[Played, ...]:
    """Scoring runs, one a pause, of which a share ended in this way."""
    rate = 1 / scope.interval.total_seconds()
    return (
        Played("aemon_runs_total", {"run": "score", "outcome": "ok"}, 0, rate * (1 - share)),
        Played("aemon_runs_total", {"run": "score", "outcome": outcome}, 0, rate * share),
    )


def _share(scope: Scope, part: tuple[str, ...], of: tuple[str, ...], share: float) -> str:
    return f"{scope.grown(scope.window, *part)}\n> {share} * {scope.grown(scope.window, *of)}"


RUN_ALERTS = (
    Alert(
        name="AemonMonitorStale",
        severity="critical",
        expression=lambda s: (
            f"time() - {s.most('aemon_run_last_success_timestamp_seconds', _SCORE)}\n"
            f"> {STALE_RUNS} * {s.most('aemon_run_interval_seconds', _SCORE)} + {STALE_SECONDS}"
        ),
        hold=at_once,
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well lately",
        description=f"For {STALE_RUNS} of its own pauses no run ended well: records are not judged.",
        runbook="aemon doctor says what is wrong; aemon status shows the last run and its reason.",
        fires=lambda scope: (
            Played("aemon_run_last_success_timestamp_seconds", {"run": "score"}),
            played_pause(scope),
        ),
        calm=lambda scope: (
            Played("aemon_run_last_success_timestamp_seconds", {"run": "score"}, -2 * seconds(scope), 1),
            played_pause(scope),
        ),
        after=lambda scope: STALE_RUNS * scope.interval + timedelta(seconds=STALE_SECONDS),
        waits=True,
    ),
    Alert(
        name="AemonMonitorNeverRan",
        severity="critical",
        expression=lambda s: (
            f"{s.most('aemon_run_interval_seconds', _SCORE)}\n"
            f"unless on (monitor) {s.most('aemon_run_last_success_timestamp_seconds', _SCORE)}"
        ),
        hold=lambda scope: STALE_RUNS * scope.interval + 5 * MINUTE,
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well since the start",
        description="The daemon lives, but no run of this monitor has ended well since it started.",
        runbook="aemon check reads its source; aemon doctor says what is wrong.",
        fires=lambda scope: (played_pause(scope),),
        calm=lambda scope: (
            played_pause(scope),
            Played("aemon_run_last_success_timestamp_seconds", {"run": "score"}, 0, 1),
        ),
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
        fires=lambda _scope: (Played("aemon_lease_held", {}, 0),),
        calm=lambda _scope: (Played("aemon_lease_held", {}, 1),),
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
        name="AemonRunsFail",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_runs_total", _SCORE, _FAILED), ("aemon_runs_total", _SCORE), FAILED_SHARE
        ),
        hold=at_once,
        summary="{{ $labels.monitor }}: many scoring runs fail",
        description=f"More than {FAILED_SHARE:.0%} of its last runs failed. What they could not read "
        "is read later.",
        runbook="The reason is in the ledger: SELECT finished_at, outcome, reason FROM runs WHERE "
        "monitor = '{{ $labels.monitor }}' ORDER BY finished_at DESC; or ask aemon doctor.",
        fires=lambda scope: _played_runs(scope, "failed", 0.5),
        calm=lambda scope: _played_runs(scope, "failed", 0.1),
        after=lambda scope: 2 * scope.interval + 10 * MINUTE,
    ),
    Alert(
        name="AemonRunsMissed",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_runs_total", _SCORE, _MISSED), ("aemon_runs_total", _SCORE), MISSED_SHARE
        ),
        hold=at_once,
        summary="{{ $labels.monitor }}: many ticks are not run",
        description=f"More than {MISSED_SHARE:.0%} of its last ticks were misfired or skipped: the "
        "daemon is overloaded, its store is away, or runs take longer than the pause between them.",
        runbook="aemon doctor; SELECT outcome, reason FROM runs WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY finished_at DESC. Raise score_every, or share the work with another daemon.",
        fires=lambda scope: _played_runs(scope, "misfired", 0.5),
        calm=lambda scope: _played_runs(scope, "misfired", 0.1),
        after=lambda scope: 2 * scope.interval + 10 * MINUTE,
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
        fires=lambda _scope: (
            Played("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0.1),
            Played("aemon_source_records_read_total", {}, 0, 1),
        ),
        calm=lambda _scope: (
            Played("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0),
            Played("aemon_source_records_read_total", {}, 0, 1),
        ),
        after=lambda scope: 2 * scope.interval + 10 * MINUTE,
    ),
)  # fmt: skip
