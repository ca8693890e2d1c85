"""What a Prometheus rule is made of, and where it holds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar

from aemon.clock import format_duration

WINDOW_RUNS = 10
"""Counts over a window look at so many runs of a monitor."""

LEAST_WINDOW = timedelta(minutes=10)
BUDGET_RUNS = 20
LEAST_BUDGET_WINDOW = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Which monitors a rule is for, and how long is long for them.

    Attributes:
        interval: the longest pause between their scoring runs.
        usual: the usual one, by which rules wait and count; a cron schedule may stand still at night.
        above: with a shorter pause, or the same, a monitor is of another scope; 0 if there is none.
        open_ended: monitors with a longer pause are of this scope, too.
        monitors: their names; empty for all but `others`.
        others: monitors that have labels of their own, and so rules of their own.
        labels: that their alerts carry.
        notified: severity -> monitors of whose episodes `notify` tells, None for all: a rule would
            tell of them once more.
    """

    interval: timedelta
    usual: timedelta
    above: timedelta = timedelta(0)
    open_ended: bool = True
    monitors: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    notified: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)

    @property
    def window(self) -> str:
        """Some runs' time."""
        return format_duration(max(LEAST_WINDOW, WINDOW_RUNS * self.usual))

    @property
    def budget_window(self) -> timedelta:
        """The time after which an alarm budget can be told to be overspent."""
        return max(LEAST_BUDGET_WINDOW, BUDGET_RUNS * self.usual)

    def series(self, name: str, *matchers: str) -> str:
        """A selector of this scope's series; a matcher is text such as `run="score"`."""
        whose: tuple[str, ...] = ()
        if self.monitors or self.others:
            whose = (_whose("=~" if self.monitors else "!~", self.monitors or self.others),)
        told = ", ".join((*matchers, *whose))
        return f"{name}{{{told}}}" if told else name

    def not_notified(self, severity: str) -> tuple[str, ...]:
        """A matcher for the monitors whose episodes `notify` does not tell of, if there are such."""
        names = self.notified.get(severity, ())
        return (_whose("!~", names),) if names else ()

    def needs(self, severity: str) -> bool:
        """Whether a rule has to tell of episodes of a severity; `notify` may do it all."""
        names = self.notified.get(severity, ())
        return names is not None and not (self.monitors and set(self.monitors) <= set(names))

    def most(self, name: str, *matchers: str) -> str:
        """One number a monitor, whichever daemon tells it."""
        return f"max by (monitor) ({self.series(name, *matchers)})"

    def grown(self, window: str, name: str, *matchers: str) -> str:
        """By how much a counter has grown over a window, for each monitor."""
        return f"sum by (monitor) (increase({self.series(name, *matchers)}[{window}]))"

    @property
    def narrow(self) -> bool:
        """Whether it is but for monitors with a certain pause between runs."""
        return bool(self.above) or not self.open_ended

    def chosen(self, expression: str) -> str:
        """An expression, narrowed to the monitors that have this scope's pause between runs."""
        if not self.narrow:
            return expression
        bounds = [f"> {self.above.total_seconds():.12g}"] if self.above else []
        if not self.open_ended:
            bounds.append(f"<= {self.interval.total_seconds():.12g}")
        pause = self.most("aemon_run_interval_seconds", 'run="score"')
        return f"({expression})\nand on (monitor) ({pause} {' '.join(bounds)})"


def _whose(operator: str, monitors: Iterable[str]) -> str:
    """A matcher for monitors by name."""
    names = "|".join(name.replace(".", r"\\.") for name in monitors)
    return f'monitor{operator}"{names}"'


@dataclass(frozen=True, slots=True)
class Played:
    """A series that a rule's own test plays: from `start`, growing by `slope` a second."""

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    start: float = 0.0
    slope: float = 0.0


Value = TypeVar("Value")
ByScope: TypeAlias = Value | Callable[[Scope], Value]
"""The same for every scope, or a function of the scope."""


def value_for(scope: Scope, given: ByScope[Value]) -> Value:
    """Return what a field of a rule is for a scope."""
    return given(scope) if callable(given) else given


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alerting rule, with what its test plays; `value_for` reads what may depend on the scope.

    Attributes:
        name: of the alert.
        severity: `critical` is for now, `warning` for today, `info` for whoever asks.
        expression: PromQL.
        hold: how long it must hold.
        summary: one line; `{{ $labels.monitor }}` stands for the monitor.
        description: what it means.
        runbook: what to do.
        fires: what must let it fire after `after` and `hold`.
        calm: what must not.
        after: how long `fires` takes until the expression holds.
        waits: it must not fire at half that time.
        carries: labels of its result, beside those of the rule: name -> value in the test.
        becomes: parts of its texts that Prometheus fills by a query, and what they become in the test.
        episodes_of: it tells of episodes of this severity, which `notify` may do already.
    """

    name: str
    severity: str
    expression: ByScope[str]
    hold: ByScope[timedelta]
    summary: str
    description: str
    runbook: str
    fires: ByScope[tuple[Played, ...]]
    calm: ByScope[tuple[Played, ...]]
    after: ByScope[timedelta] = timedelta(0)
    waits: bool = False
    carries: tuple[str, ...] = ("monitor",)
    becomes: Mapping[str, str] = field(default_factory=dict)
    episodes_of: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule: a number that dashboards and people ask for again and again."""

    name: str
    expression: str


MINUTE = timedelta(minutes=1)
AT_ONCE = timedelta(0)


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
