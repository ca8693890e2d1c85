"""The alerting rules for every monitor: each right for that monitor's own pause between runs."""

from datetime import timedelta

from aemon.alerts.rule import Alert, Sample, Scope
from aemon.clock import format_duration

BRIEF = "5m"
"""An episode that opened and closed between two scrapes is told for so long."""

STALE_RUNS = 3
STALE_SECONDS = 120
OLD_TRAININGS = 3
FAILED_SHARE = 0.3
MISSED_SHARE = 0.2
REJECTED_SHARE = 0.01
OVERSPENT = 3
"""More than three times the promise, and beyond chance."""

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_SCORE, _TRAIN = 'job="score"', 'job="train"'
_OK, _FAILED = 'outcome="ok"', 'outcome=~"failed|timed_out"'
_MISSED = 'outcome=~"misfired|skipped"'


def _at_once(_scope: Scope) -> timedelta:
    return timedelta(0)


def _two_runs(scope: Scope) -> timedelta:
    return max(5 * _MINUTE, 2 * scope.interval)


def _patient(scope: Scope) -> timedelta:
    return max(_DAY, 30 * scope.interval)


def _episode(severity: str) -> Alert:
    of = f'severity="{severity}"'

    def played(opened: float) -> tuple[Sample, ...]:
        labels = {"severity": severity}
        return (
            Sample("aemon_episodes_open", labels, opened),
            Sample("aemon_episodes_total", labels, opened),
        )

    return Alert(
        name="AemonEpisode",
        severity=severity,
        expression=lambda s: (
            f"{s.most('aemon_episodes_open', of)} > 0\n"
            f"or {s.grown(BRIEF, 'aemon_episodes_total', of)} > 0"
        ),
        hold=_at_once,
        summary=f"{{{{ $labels.monitor }}}}: {severity} anomalies",
        description="Records of {{ $labels.monitor }} are unlike anything normal. It is over once "
        "enough calm records followed, or somebody has acknowledged it.",
        runbook="See what and why: aemon episodes list; aemon anomalies {{ $labels.monitor }}. Take "
        "it up: aemon episodes ack NUMBER. A false alarm: aemon feedback {{ $labels.monitor }} "
        "false_alarm --episode NUMBER.",
        fires=lambda _scope: played(1),
        calm=lambda _scope: played(0),
    )


def _played_pause(scope: Scope) -> Sample:
    labels = {"job": "score"}
    return Sample("aemon_run_interval_seconds", labels, scope.interval.total_seconds())


def _played_age(scope: Scope) -> timedelta:
    return max(15 * _MINUTE, 3 * scope.interval)


def _played_runs(scope: Scope, outcome: str, share: float) -> tuple[Sample, ...]:
    """Scoring runs, one a pause, of which a share ended in this way."""
    rate = 1 / scope.interval.total_seconds()
    return (
        Sample("aemon_runs_total", {"job": "score", "outcome": "ok"}, 0, rate * (1 - share)),
        Sample("aemon_runs_total", {"job": "score", "outcome": outcome}, 0, rate * share),
    )


def _played_budget(flagged: float) -> tuple[Sample, ...]:
    """Ten records a second, of which one in a thousand may be flagged."""
    return (
        Sample("aemon_promised_false_alarm_ratio", {}, 0.001),
        Sample("aemon_records_scored_total", {}, 0, 10),
        Sample("aemon_anomalies_total", {"severity": "warning"}, 0, 0.01 * flagged),
    )


def _overspent(scope: Scope) -> str:
    window = format_duration(scope.budget_window)
    promised = (
        f"{scope.most('aemon_promised_false_alarm_ratio')} "
        f"* {scope.grown(window, 'aemon_records_scored_total')}"
    )
    flagged = scope.grown(window, "aemon_anomalies_total")
    return f"{flagged}\n> {OVERSPENT} * ({promised}) + 3 * sqrt({promised}) + 3"


def _share(scope: Scope, part: tuple[str, ...], of: tuple[str, ...], share: float) -> str:
    return f"{scope.grown(scope.window, *part)}\n> {share} * {scope.grown(scope.window, *of)}"


MONITOR_ALERTS = (
    _episode("critical"),
    _episode("warning"),
    Alert(
        name="AemonBudgetOverspent",
        severity="warning",
        expression=_overspent,
        hold=_two_runs,
        summary="{{ $labels.monitor }} flags far more than it promised",
        description=f"It flagged more than {OVERSPENT} times the promised share of records, and "
        "more than chance explains. Either there is a long fault, or normal life has changed.",
        runbook="Compare the days: SELECT * FROM alarm_budget WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY day DESC. Say what were false alarms with aemon feedback; the next training "
        "learns them.",
        fires=lambda _scope: _played_budget(5),
        calm=lambda _scope: _played_budget(1),
        after=lambda scope: scope.budget_window,
    ),
    Alert(
        name="AemonDetectorStale",
        severity="warning",
        expression=lambda s: (
            f"time() - {s.most('aemon_detector_trained_timestamp_seconds')}\n"
            f"> {OLD_TRAININGS} * {s.most('aemon_run_interval_seconds', _TRAIN)} + 3600"
        ),
        hold=lambda _scope: _HOUR,
        summary="{{ $labels.monitor }} judges with an old detector",
        description=f"It is older than {OLD_TRAININGS} times train_every: trainings fail, or what "
        "they make is rejected.",
        runbook="See what became of each: aemon detectors list {{ $labels.monitor }}; aemon doctor.",
        fires=lambda _scope: (
            Sample("aemon_detector_trained_timestamp_seconds"),
            Sample("aemon_run_interval_seconds", {"job": "train"}, 3600),
        ),
        calm=lambda _scope: (
            Sample("aemon_detector_trained_timestamp_seconds", {}, 0, 1),
            Sample("aemon_run_interval_seconds", {"job": "train"}, 3600),
        ),
        after=lambda _scope: (OLD_TRAININGS + 1) * _HOUR,
    ),
    Alert(
        name="AemonDetectorUntrained",
        severity="warning",
        expression=lambda s: (
            f"{s.most('aemon_run_interval_seconds', _SCORE)}\n"
            f"unless on (monitor) {s.most('aemon_detector_trained_timestamp_seconds')}"
        ),
        hold=_patient,
        summary="{{ $labels.monitor }} has no detector yet",
        description="Nothing is judged: it still collects records, or its first training fails.",
        runbook="See how many records are missing: aemon status; why a training failed: aemon doctor. "
        "min_records says how many the first training waits for.",
        fires=lambda scope: (_played_pause(scope),),
        calm=lambda scope: (
            _played_pause(scope),
            Sample("aemon_detector_trained_timestamp_seconds", {}, 1),
        ),
        waits=True,
    ),
    Alert(
        name="AemonTrainingFails",
        severity="warning",
        expression=lambda s: (
            f"{s.grown('6h', 'aemon_runs_total', _TRAIN, _FAILED)} > 2\n"
            f"unless on (monitor) "
            f"{s.grown('6h', 'aemon_runs_total', _TRAIN, _OK)} > 0"
        ),
        hold=_at_once,
        summary="{{ $labels.monitor }}: trainings fail",
        description="Three or more trainings failed in six hours and none succeeded. The detector in "
        "use goes on.",
        runbook="The reason is in the ledger: SELECT finished_at, reason FROM runs WHERE monitor = "
        "'{{ $labels.monitor }}' AND job = 'train' ORDER BY finished_at DESC.",
        fires=lambda _scope: (
            Sample("aemon_runs_total", {"job": "train", "outcome": "failed"}, 0, 1 / 3600),
        ),
        calm=lambda _scope: (
            Sample("aemon_runs_total", {"job": "train", "outcome": "failed"}, 0, 1 / 3600),
            Sample("aemon_runs_total", {"job": "train", "outcome": "ok"}, 0, 1 / 3600),
        ),
        after=lambda _scope: 6 * _HOUR,
    ),
    Alert(
        name="AemonDrift",
        severity="info",
        expression=lambda s: f"{s.most('aemon_drifts_open')} > 0",
        hold=_two_runs,
        summary="{{ $labels.monitor }}: normal life has moved",
        description="What is normal now is not what the detector learned. A new one is trained once "
        "enough records came; until then there may be more false alarms.",
        runbook="See what moved: aemon status; SELECT * FROM drifts WHERE monitor = '{{ "
        "$labels.monitor }}' AND ended_at IS NULL. Learn it at once: aemon train {{ $labels.monitor "
        "}}.",
        fires=lambda _scope: (Sample("aemon_drifts_open", {}, 1),),
        calm=lambda _scope: (Sample("aemon_drifts_open", {}, 0),),
        waits=True,
    ),
    Alert(
        name="AemonMonitorStale",
        severity="critical",
        expression=lambda s: (
            f"time() - {s.most('aemon_run_last_success_timestamp_seconds', _SCORE)}\n"
            f"> {STALE_RUNS} * {s.most('aemon_run_interval_seconds', _SCORE)} + {STALE_SECONDS}"
        ),
        hold=_at_once,
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well lately",
        description=f"For {STALE_RUNS} of its own pauses no run ended well: records are not judged.",
        runbook="aemon doctor says what is wrong; aemon status shows the last run and its reason.",
        fires=lambda scope: (
            Sample("aemon_run_last_success_timestamp_seconds", {"job": "score"}),
            _played_pause(scope),
        ),
        calm=lambda scope: (
            Sample("aemon_run_last_success_timestamp_seconds", {"job": "score"}, 0, 1),
            _played_pause(scope),
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
        hold=lambda scope: STALE_RUNS * scope.interval + 5 * _MINUTE,
        summary="{{ $labels.monitor }} is not watched: no scoring run has ended well since the start",
        description="The daemon lives, but no run of this monitor has ended well since it started.",
        runbook="aemon check reads its source; aemon doctor says what is wrong.",
        fires=lambda scope: (_played_pause(scope),),
        calm=lambda scope: (
            _played_pause(scope),
            Sample("aemon_run_last_success_timestamp_seconds", {"job": "score"}, 0, 1),
        ),
        waits=True,
    ),
    Alert(
        name="AemonMonitorUnwatched",
        severity="critical",
        expression=lambda s: f"{s.most('aemon_lease_held')} == 0",
        hold=_two_runs,
        summary="{{ $labels.monitor }} is watched by no daemon",
        description="No daemon holds its lease.",
        runbook="aemon doctor lists the replicas and what each of them watches.",
        fires=lambda _scope: (Sample("aemon_lease_held", {}, 0),),
        calm=lambda _scope: (Sample("aemon_lease_held", {}, 1),),
        waits=True,
    ),
    Alert(
        name="AemonSourceStale",
        severity="warning",
        expression=lambda s: (
            f"time() - {s.most('aemon_source_newest_record_timestamp_seconds')}\n"
            f"> {s.most('aemon_source_stale_after_seconds')}"
        ),
        hold=_two_runs,
        summary="{{ $labels.monitor }}: its source has no new records",
        description="The newest record is older than stale_after: whoever writes them may have "
        "stopped, or the source is read with a long delay.",
        runbook="Look at the newest rows of the source: aemon check. Where records come only now and "
        "then, raise stale_after, or set it to never.",
        fires=lambda scope: (
            Sample("aemon_source_newest_record_timestamp_seconds"),
            Sample("aemon_source_stale_after_seconds", {}, _played_age(scope).total_seconds()),
        ),
        calm=lambda scope: (
            Sample("aemon_source_newest_record_timestamp_seconds", {}, 0, 1),
            Sample("aemon_source_stale_after_seconds", {}, _played_age(scope).total_seconds()),
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
        hold=_at_once,
        summary="{{ $labels.monitor }}: many scoring runs fail",
        description=f"More than {FAILED_SHARE:.0%} of its last runs failed. What they could not read "
        "is read later.",
        runbook="The reason is in the ledger: SELECT finished_at, outcome, reason FROM runs WHERE "
        "monitor = '{{ $labels.monitor }}' ORDER BY finished_at DESC; or ask aemon doctor.",
        fires=lambda scope: _played_runs(scope, "failed", 0.5),
        calm=lambda scope: _played_runs(scope, "failed", 0.1),
        after=lambda scope: 2 * scope.interval + 10 * _MINUTE,
    ),
    Alert(
        name="AemonRunsMissed",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_runs_total", _SCORE, _MISSED), ("aemon_runs_total", _SCORE), MISSED_SHARE
        ),
        hold=_at_once,
        summary="{{ $labels.monitor }}: many ticks are not run",
        description=f"More than {MISSED_SHARE:.0%} of its last ticks were misfired or skipped: the "
        "daemon is overloaded, its store is away, or runs take longer than the pause between them.",
        runbook="aemon doctor; SELECT outcome, reason FROM runs WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY finished_at DESC. Raise score_every, or share the work with another daemon.",
        fires=lambda scope: _played_runs(scope, "misfired", 0.5),
        calm=lambda scope: _played_runs(scope, "misfired", 0.1),
        after=lambda scope: 2 * scope.interval + 10 * _MINUTE,
    ),
    Alert(
        name="AemonRecordsRejected",
        severity="warning",
        expression=lambda s: _share(
            s, ("aemon_records_rejected_total",), ("aemon_source_records_read_total",),
            REJECTED_SHARE,
        ),
        hold=_two_runs,
        summary="{{ $labels.monitor }}: records cannot be judged",
        description=f"More than {REJECTED_SHARE:.0%} of the records read were rejected: they have no "
        "time or no key, a key twice, or came too late.",
        runbook='See the reasons: sum by (reason) (increase(aemon_records_rejected_total{monitor="'
        '{{ $labels.monitor }}"}[1h])); aemon check shows what is read.',
        fires=lambda _scope: (
            Sample("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0.1),
            Sample("aemon_source_records_read_total", {}, 0, 1),
        ),
        calm=lambda _scope: (
            Sample("aemon_records_rejected_total", {"reason": "no_time"}, 0, 0),
            Sample("aemon_source_records_read_total", {}, 0, 1),
        ),
        after=lambda scope: 2 * scope.interval + 10 * _MINUTE,
    ),
)  # fmt: skip
