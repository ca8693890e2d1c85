"""The alerting rules about anomalies, and about the detectors that find them."""

from datetime import timedelta

from aemon.clock import format_duration
from aemon.config.schema import OLD_TRAININGS
from aemon.rules.rule import AT_ONCE, Alert, Played, Scope, played_pause, two_runs

BRIEF = "5m"
"""An episode that opened and closed between two scrapes is told for so long."""

BRIDGE = "2m"
"""An open episode is still told while one daemon hands its monitor to another, or starts anew."""

OVERSPENT = 3
"""More than three times the promise, and beyond chance."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SCORE, _TRAIN = 'run="score"', 'run="train"'
_OK, _FAILED = 'outcome="ok"', 'outcome=~"failed|timed_out"'


def _patient(scope: Scope) -> timedelta:
    return max(_DAY, 30 * scope.usual)


def _episode(severity: str) -> Alert:
    of = f'severity="{severity}"'

    def played(opened: float) -> tuple[Played, ...]:
        labels = {"severity": severity}
        return (
            Played("aemon_episodes_open", labels, opened),
            Played("aemon_episodes_total", labels, opened),
        )

    return Alert(
        name="AemonEpisode",
        severity=severity,
        expression=lambda s: (
            f"max by (monitor) (max_over_time({s.series('aemon_episodes_open', of)}[{BRIDGE}])) > 0\n"
            f"or {s.grown(BRIEF, 'aemon_episodes_total', of)} > 0"
        ),
        hold=AT_ONCE,
        summary=f"{{{{ $labels.monitor }}}}: {severity} anomalies",
        description="Records of {{ $labels.monitor }} are unlike anything normal. It is over once "
        "enough calm records followed, or somebody has acknowledged it.",
        runbook="See what and why: aemon episodes list; aemon anomalies {{ $labels.monitor }}. Take "
        "it up: aemon episodes ack NUMBER. A false alarm: aemon feedback {{ $labels.monitor }} "
        "false_alarm --episode NUMBER.",
        fires=played(1),
        calm=played(0),
    )


def _played_budget(told: float) -> tuple[Played, ...]:
    """Ten records a second, of which one in a thousand may be flagged; so many times that are told."""
    return (
        Played("aemon_promised_false_alarm_ratio", {}, 0.001),
        Played("aemon_records_scored_total", {}, 0, 10),
        Played("aemon_episodes_total", {"severity": "warning"}, 0, 0.01 * told),
    )


def _overspent(scope: Scope) -> str:
    """Episodes are counted, not records: a long fault is told once, and is no false alarm."""
    window = format_duration(scope.budget_window)
    promised = (
        f"{scope.most('aemon_promised_false_alarm_ratio')} "
        f"* {scope.grown(window, 'aemon_records_scored_total')}"
    )
    told = scope.grown(window, "aemon_episodes_total")
    return f"{told}\n> {OVERSPENT} * ({promised}) + 3 * sqrt({promised}) + 3"


DETECTOR_ALERTS = (
    _episode("critical"),
    _episode("warning"),
    Alert(
        name="AemonBudgetOverspent",
        severity="warning",
        expression=_overspent,
        hold=two_runs,
        summary="{{ $labels.monitor }} tells of far more episodes than it promised false alarms",
        description=f"There were more than {OVERSPENT} times as many as records may be flagged by "
        "the promise, and more than chance explains: normal life has changed, or faults abound.",
        runbook="Compare the days: SELECT * FROM alarm_budget WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY day DESC. Say what were false alarms with aemon feedback; the next training "
        "learns them.",
        fires=_played_budget(5),
        calm=_played_budget(1),
        after=lambda scope: scope.budget_window,
    ),
    Alert(
        name="AemonDetectorStale",
        severity="warning",
        expression=lambda s: (
            f"time() - {s.most('aemon_detector_trained_timestamp_seconds')}\n"
            f"> {s.most('aemon_detector_stale_after_seconds')}"
        ),
        hold=_HOUR,
        summary="{{ $labels.monitor }} judges with an old detector",
        description=f"It is older than {OLD_TRAININGS} times train_every and two trials: trainings "
        "fail, or what they make is rejected.",
        runbook="See what became of each: aemon detectors list --monitor {{ $labels.monitor }}; "
        "aemon doctor.",
        fires=(
            Played("aemon_detector_trained_timestamp_seconds"),
            Played("aemon_detector_stale_after_seconds", {}, 3 * 3600),
        ),
        calm=(
            Played("aemon_detector_trained_timestamp_seconds", {}, -2 * 3600, 1),
            Played("aemon_detector_stale_after_seconds", {}, 3 * 3600),
        ),
        after=3 * _HOUR,
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
        fires=lambda scope: (played_pause(scope),),
        calm=lambda scope: (
            played_pause(scope),
            Played("aemon_detector_trained_timestamp_seconds", {}, 1),
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
        hold=AT_ONCE,
        summary="{{ $labels.monitor }}: trainings fail",
        description="Three or more trainings failed in six hours and none succeeded. The detector in "
        "use goes on.",
        runbook="The reason is in the ledger: SELECT finished_at, reason FROM runs WHERE monitor = "
        "'{{ $labels.monitor }}' AND job = 'train' ORDER BY finished_at DESC.",
        fires=(
            Played("aemon_runs_total", {"run": "train", "outcome": "failed"}, 0, 1 / 3600),
        ),
        calm=(
            Played("aemon_runs_total", {"run": "train", "outcome": "failed"}, 0, 1 / 3600),
            Played("aemon_runs_total", {"run": "train", "outcome": "ok"}, 0, 1 / 3600),
        ),
        after=6 * _HOUR,
    ),
    Alert(
        name="AemonDrift",
        severity="info",
        expression=lambda s: f"{s.most('aemon_drifts_open')} > 0",
        hold=two_runs,
        summary="{{ $labels.monitor }}: normal life has moved",
        description="What is normal now is not what the detector learned. A new one is trained once "
        "enough records came; until then there may be more false alarms.",
        runbook="See what moved: aemon status; SELECT * FROM drifts WHERE monitor = '{{ "
        "$labels.monitor }}' AND ended_at IS NULL. Learn it at once: aemon train {{ $labels.monitor "
        "}}.",
        fires=(Played("aemon_drifts_open", {}, 1),),
        calm=(Played("aemon_drifts_open", {}, 0),),
        waits=True,
    ),
)  # fmt: skip
