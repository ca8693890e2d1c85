"""The alerting rules about anomalies, and about the detectors that find them."""

from collections.abc import Mapping
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


_WHOSE = "{{ $labels.monitor }}{{ with $labels.entity }}, {{ . }}{{ end }}"
_COLUMN = (
    '{{ with printf "aemon_episode_info{monitor=%q,episode=%q}" $labels.monitor $labels.episode'
    ' | query }}, mostly {{ . | first | label "column" }}{{ end }}'
)
_NUMBER = "{{ with $labels.episode }} {{ . }}{{ end }}"
_EACH = "max by (monitor, entity, episode)"
_NAMED = ("monitor", "entity", "episode")
_BECOMES = {
    "{{ with $labels.entity }}, {{ . }}{{ end }}": ", p4",
    _COLUMN: ", mostly flow",
    _NUMBER: " 41",
}


def _bridged(series: str) -> str:
    """A series that is there for a moment longer, in which daemons hand a monitor over."""
    return f"max_over_time({series}[{BRIDGE}])"


def _episode(severity: str) -> Alert:
    of = f'severity="{severity}"'

    def expression(scope: Scope) -> str:
        whose = (of, *scope.not_notified(severity))
        going_on = _bridged(scope.series("aemon_episode_info", *whose, 'state!="closed"'))
        over = scope.series("aemon_episode_info", *whose, 'state="closed"')
        before = scope.series("aemon_episode_info", *whose)
        more = _bridged(scope.series("aemon_episodes_unnamed", *whose))
        return (
            f"{_EACH} ({going_on}) > 0\n"
            f"or ({_EACH} ({over}) unless on (monitor, episode) {before} offset {BRIEF})\n"
            f"or max by (monitor) ({more}) > 0"
        )

    def played(labels: Mapping[str, str], there: float) -> tuple[Played, ...]:
        one = {"severity": severity, "episode": "41", "entity": "p4", "column": "flow"}
        return (
            Played("aemon_episode_info", {**one, **labels}, 1),
            Played("aemon_episodes_unnamed", {"severity": severity}, there),
        )

    return Alert(
        name="AemonEpisode",
        severity=severity,
        expression=expression,
        hold=AT_ONCE,
        summary=f"{_WHOSE}: {severity} episode{_NUMBER}{_COLUMN}",
        description="Records of {{ $labels.monitor }} are unlike anything normal. It is over once "
        "enough calm records followed. Without a number there are more episodes than can be named.",
        runbook="See what and why: aemon episodes show {{ $labels.episode }}; aemon anomalies "
        "{{ $labels.monitor }}. Take it up: aemon episodes ack {{ $labels.episode }}. A false alarm: "
        "aemon feedback {{ $labels.monitor }} false_alarm --episode {{ $labels.episode }}.",
        fires=played({"state": "open"}, 0),
        calm=(
            Played(
                "aemon_episode_info", {"severity": "other", "episode": "41", "state": "open"}, 1
            ),
            Played("aemon_episodes_unnamed", {"severity": severity}, 0),
        ),
        carries=_NAMED,
        becomes=_BECOMES,
        episodes_of=severity,
    )


def _acknowledged(scope: Scope) -> str:
    taken_up = scope.series(
        "aemon_episode_info", 'state="acknowledged"', *scope.not_notified("warning")
    )
    return f"{_EACH} ({taken_up}) > 0"


_TAKEN_UP = {"episode": "41", "entity": "p4", "column": "flow", "severity": "warning"}
_ACKNOWLEDGED = Alert(
    name="AemonEpisodeAcknowledged",
    severity="info",
    expression=_acknowledged,
    hold=AT_ONCE,
    summary=f"{_WHOSE}: somebody has taken up episode{_NUMBER}",
    description="The episode goes on. An inhibition rule of Alertmanager lets this alert mute "
    "AemonEpisode of the same monitor, entity and episode.",
    runbook="Nothing is to be done. What was noted: aemon episodes show {{ $labels.episode }}.",
    fires=(Played("aemon_episode_info", {**_TAKEN_UP, "state": "acknowledged"}, 1),),
    calm=(Played("aemon_episode_info", {**_TAKEN_UP, "state": "open"}, 1),),
    carries=_NAMED,
    becomes=_BECOMES,
    episodes_of="warning",
)


def _played_budget(told: float) -> tuple[Played, ...]:
    """Ten judged records a second, of which one in a thousand may be flagged; so many times that are told."""
    return (
        Played("aemon_promised_false_alarm_ratio", {}, 0.001),
        Played("aemon_records_scored_total", {}, 0, 20),
        Played("aemon_records_idle_total", {}, 0, 10),
        Played("aemon_episodes_total", {"severity": "warning"}, 0, 0.01 * told),
    )


def _overspent(scope: Scope) -> str:
    """Episodes are counted, not records: a long fault is told once, and is no false alarm."""
    window = format_duration(scope.budget_window)
    promised = (
        f"{scope.most('aemon_promised_false_alarm_ratio')} "
        f"* ({scope.grown(window, 'aemon_records_scored_total')} "
        f"- {scope.grown(window, 'aemon_records_idle_total')})"
    )
    told = scope.grown(window, "aemon_episodes_total")
    return f"{told}\n> {OVERSPENT} * ({promised}) + 3 * sqrt({promised}) + 3"


DETECTOR_ALERTS = (
    _episode("critical"),
    _episode("warning"),
    _ACKNOWLEDGED,
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
