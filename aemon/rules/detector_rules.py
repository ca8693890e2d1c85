"""The alerting rules about episodes, alarm budgets, detectors and drift."""

from collections.abc import Mapping
from datetime import timedelta

from aemon.clock import format_duration
from aemon.config.schema import OLD_TRAININGS
from aemon.rules.rule import AT_ONCE, Alert, Played, Scope, played_pause, two_runs

BRIEF = "5m"
"""How long `AemonEpisode` fires for an episode that opened and closed between two scrapes."""

BRIDGE = "2m"
"""How long the alert of an open episode lasts while its daemon restarts or hands over the monitor.
"""

OVERSPENT = 3
"""`AemonBudgetOverspent` fires if the number of episodes is larger than this factor times the
number of false alarms that the target rate allows, and larger than chance explains."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SCORE, _TRAIN = 'run="score"', 'run="train"'
_OK, _FAILED = 'outcome="ok"', 'outcome=~"failed|timed_out"'


def _untrained_hold(scope: Scope) -> timedelta:
    """Return how long a monitor may lack a detector: thirty pauses between runs, at least a day."""
    return max(_DAY, 30 * scope.usual)


_SUBJECT = "{{ $labels.monitor }}{{ with $labels.entity }}, {{ . }}{{ end }}"
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
    """Return PromQL that keeps a series for `BRIDGE` after its last sample."""
    return f"max_over_time({series}[{BRIDGE}])"


def _episode(severity: str) -> Alert:
    def expression(scope: Scope) -> str:
        matchers = (f'severity="{severity}"', *scope.not_notified(severity))
        current = _bridged(scope.series("aemon_episode_info", *matchers, 'state!="closed"'))
        closed = scope.series("aemon_episode_info", *matchers, 'state="closed"')
        before = scope.series("aemon_episode_info", *matchers)
        unnamed = _bridged(scope.series("aemon_episodes_unnamed", *matchers))
        return (
            f"{_EACH} ({current}) > 0\n"
            f"or ({_EACH} ({closed}) unless on (monitor, episode) {before} offset {BRIEF})\n"
            f"or max by (monitor) ({unnamed}) > 0"
        )

    def played(labels: Mapping[str, str], unnamed: float) -> tuple[Played, ...]:
        episode = {"severity": severity, "episode": "41", "entity": "p4", "column": "flow"}
        return (
            Played("aemon_episode_info", {**episode, **labels}, 1),
            Played("aemon_episodes_unnamed", {"severity": severity}, unnamed),
        )

    return Alert(
        name="AemonEpisode",
        severity=severity,
        expression=expression,
        hold=AT_ONCE,
        summary=f"{_SUBJECT}: {severity} episode{_NUMBER}{_COLUMN}",
        description="Records of {{ $labels.monitor }} differ from its normal data. The episode "
        "closes after enough calm records. An alert without an episode number stands for more "
        "episodes than can be listed.",
        runbook="See the records and the reasons: aemon episodes show {{ $labels.episode }}; aemon "
        "anomalies {{ $labels.monitor }}. Acknowledge the episode: aemon episodes ack "
        "{{ $labels.episode }}. If the episode is a false alarm: aemon feedback "
        "{{ $labels.monitor }} false_alarm --episode {{ $labels.episode }}.",
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
    acknowledged = scope.series(
        "aemon_episode_info", 'state="acknowledged"', *scope.not_notified("warning")
    )
    return f"{_EACH} ({acknowledged}) > 0"


_PLAYED_EPISODE = {"episode": "41", "entity": "p4", "column": "flow", "severity": "warning"}
_ACKNOWLEDGED = Alert(
    name="AemonEpisodeAcknowledged",
    severity="info",
    expression=_acknowledged,
    hold=AT_ONCE,
    summary=f"{_SUBJECT}: a person has acknowledged episode{_NUMBER}",
    description="The episode continues. With an inhibition rule in Alertmanager, this alert mutes "
    "AemonEpisode of the same monitor, entity and episode.",
    runbook="No action is needed. See the note: aemon episodes show {{ $labels.episode }}.",
    fires=(Played("aemon_episode_info", {**_PLAYED_EPISODE, "state": "acknowledged"}, 1),),
    calm=(Played("aemon_episode_info", {**_PLAYED_EPISODE, "state": "open"}, 1),),
    carries=_NAMED,
    becomes=_BECOMES,
    episodes_of="warning",
)


def _played_budget(times: float) -> tuple[Played, ...]:
    """Return series for a test: ten judged records a second, of which 1 in 1,000 may be flagged.

    Args:
        times: number of reported episodes for each record that may be flagged.
    """
    return (
        Played("aemon_promised_false_alarm_ratio", {}, 0.001),
        Played("aemon_records_scored_total", {}, 0, 20),
        Played("aemon_records_idle_total", {}, 0, 10),
        Played("aemon_episodes_total", {"severity": "warning"}, 0, 0.01 * times),
    )


def _overspent(scope: Scope) -> str:
    """Return PromQL that compares the numbers of episodes and of records that may be flagged.

    Episodes are counted, not flagged records: a long fault is one episode, and is not a false
    alarm.
    """
    window = format_duration(scope.budget_window)
    allowed = (
        f"{scope.most('aemon_promised_false_alarm_ratio')} "
        f"* ({scope.grown(window, 'aemon_records_scored_total')} "
        f"- {scope.grown(window, 'aemon_records_idle_total')})"
    )
    reported = scope.grown(window, "aemon_episodes_total")
    return f"{reported}\n> {OVERSPENT} * ({allowed}) + 3 * sqrt({allowed}) + 3"


DETECTOR_ALERTS = (
    _episode("critical"),
    _episode("warning"),
    _ACKNOWLEDGED,
    Alert(
        name="AemonBudgetOverspent",
        severity="warning",
        expression=_overspent,
        hold=two_runs,
        summary="{{ $labels.monitor }} reports far more episodes than its target rate allows",
        description=f"The number of episodes is more than {OVERSPENT} times the number of false "
        "alarms that the target rate allows, and more than chance explains. Normal data has "
        "changed, or there are many faults.",
        runbook="Compare the days: SELECT * FROM alarm_budget WHERE monitor = '{{ $labels.monitor "
        "}}' ORDER BY day DESC. Mark false alarms with aemon feedback; the next training uses them.",
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
        description=f"The active detector is older than {OLD_TRAININGS} times train_every plus two "
        "trials: trainings fail, or new detectors are rejected.",
        runbook="See the state of each detector: aemon detectors list --monitor "
        "{{ $labels.monitor }}; aemon doctor.",
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
        hold=_untrained_hold,
        summary="{{ $labels.monitor }} has no detector yet",
        description="Nothing is judged: the monitor still collects records, or its first training "
        "fails.",
        runbook="See how many records are missing: aemon status. See why a training failed: aemon "
        "doctor. min_records sets how many records the first training needs.",
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
        description="Three or more trainings failed in six hours and none succeeded. The active "
        "detector stays in use.",
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
        summary="{{ $labels.monitor }}: normal data has drifted",
        description="New records differ from the training records. A new detector is trained once "
        "there are enough records; until then there may be more false alarms.",
        runbook="See the drift: aemon status; SELECT * FROM drifts WHERE monitor = '{{ "
        "$labels.monitor }}' AND ended_at IS NULL. Train at once: aemon train {{ $labels.monitor "
        "}}.",
        fires=(Played("aemon_drifts_open", {}, 1),),
        calm=(Played("aemon_drifts_open", {}, 0),),
        waits=True,
    ),
)  # fmt: skip
