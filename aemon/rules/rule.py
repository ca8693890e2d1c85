"""The parts of a Prometheus rule, and the scope: the monitors that a rule is for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar

from aemon.clock import format_duration

WINDOW_RUNS = 10
"""A rule counts runs in a window that holds this number of a monitor's runs."""

LEAST_WINDOW = timedelta(minutes=10)
BUDGET_RUNS = 20
LEAST_BUDGET_WINDOW = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """The monitors that a rule is for, and their pauses between scoring runs.

    Attributes:
        interval: the longest pause between scoring runs of these monitors.
        usual: the usual pause, from which waiting times and windows follow. A cron schedule that
            stops at night has a longer `interval`.
        above: monitors with this pause or a shorter pause are in another scope; 0 if there is
            no lower bound.
        open_ended: whether monitors with a longer pause than `interval` are in this scope, too.
        monitors: names of the monitors; empty for all except `others`.
        others: monitors with their own labels, and therefore with their own rules.
        labels: labels that the rules add to the alerts.
        notified: severity -> monitors whose episodes `notify` reports; None for all monitors. The
            rules leave these episodes out: otherwise they would be reported twice.
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
        """The window over which rules count runs, as a Prometheus duration."""
        return format_duration(max(LEAST_WINDOW, WINDOW_RUNS * self.usual))

    @property
    def budget_window(self) -> timedelta:
        """The window over which episodes are compared with the alarm budget."""
        return max(LEAST_BUDGET_WINDOW, BUDGET_RUNS * self.usual)

    def series(self, name: str, *matchers: str) -> str:
        """Return a selector of this scope's series; a matcher is text such as `run="score"`."""
        monitors: tuple[str, ...] = ()
        if self.monitors or self.others:
            operator = "=~" if self.monitors else "!~"
            monitors = (_monitor_matcher(operator, self.monitors or self.others),)
        joined = ", ".join((*matchers, *monitors))
        return f"{name}{{{joined}}}" if joined else name

    def not_notified(self, severity: str) -> tuple[str, ...]:
        """Return a matcher without the monitors whose episodes `notify` reports; empty if none."""
        names = self.notified.get(severity, ())
        return (_monitor_matcher("!~", names),) if names else ()

    def needs(self, severity: str) -> bool:
        """Return whether a rule reports episodes of a severity that `notify` does not report."""
        names = self.notified.get(severity, ())
        return names is not None and not (self.monitors and set(self.monitors) <= set(names))

    def most(self, name: str, *matchers: str) -> str:
        """Return PromQL for one number for each monitor: the largest number of all daemons."""
        return f"max by (monitor) ({self.series(name, *matchers)})"

    def grown(self, window: str, name: str, *matchers: str) -> str:
        """Return PromQL for the growth of a counter over a window, for each monitor."""
        return f"sum by (monitor) (increase({self.series(name, *matchers)}[{window}]))"

    @property
    def narrow(self) -> bool:
        """Whether the scope is restricted to monitors with certain pauses between runs."""
        return bool(self.above) or not self.open_ended

    def chosen(self, expression: str) -> str:
        """Return an expression, restricted to the monitors with this scope's pauses."""
        if not self.narrow:
            return expression
        bounds = [f"> {self.above.total_seconds():.12g}"] if self.above else []
        if not self.open_ended:
            bounds.append(f"<= {self.interval.total_seconds():.12g}")
        pause = self.most("aemon_run_interval_seconds", 'run="score"')
        return f"({expression})\nand on (monitor) ({pause} {' '.join(bounds)})"


def _monitor_matcher(operator: str, monitors: Iterable[str]) -> str:
    """Return a matcher for monitors by name."""
    names = "|".join(name.replace(".", r"\\.") for name in monitors)
    return f'monitor{operator}"{names}"'


@dataclass(frozen=True, slots=True)
class Played:
    """A series that the test of a rule plays: from `start`, growing by `slope` a second."""

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    start: float = 0.0
    slope: float = 0.0


Value = TypeVar("Value")
ByScope: TypeAlias = Value | Callable[[Scope], Value]
"""A value that holds for every scope, or a function that returns the value for a scope."""


def value_for(scope: Scope, given: ByScope[Value]) -> Value:
    """Return the value of a rule's field for a scope."""
    return given(scope) if callable(given) else given


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alerting rule, with the series of its tests; `value_for` returns a field for a scope.

    Attributes:
        name: the name of the alert.
        severity: `critical` if action is needed now, `warning` if action is needed today; `info` is
            for reference.
        expression: the PromQL expression of the rule.
        hold: how long the expression must hold before the alert fires.
        summary: one line; `{{ $labels.monitor }}` stands for the monitor.
        description: what has happened.
        runbook: what to do.
        fires: series on which the alert must fire, after `after` and `hold`.
        calm: series on which the alert must not fire.
        after: how long a test plays `fires` until the expression holds.
        waits: whether a test also checks that the alert is silent after half of `after` + `hold`.
        carries: labels of the expression's result, in addition to the labels of the rule.
        becomes: template in the texts -> the text by which Prometheus replaces the template in the
            test.
        episodes_of: the severity of the episodes that the alert reports unless `notify` reports
            them; empty for an alert that reports no episodes.
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
    """One recording rule: a number that dashboards and people query often."""

    name: str
    expression: str


MINUTE = timedelta(minutes=1)
AT_ONCE = timedelta(0)


def two_runs(scope: Scope) -> timedelta:
    """Return two usual pauses between runs, at least five minutes."""
    return max(5 * MINUTE, 2 * scope.usual)


def seconds(scope: Scope) -> float:
    """Return the longest pause between runs, in seconds."""
    return scope.interval.total_seconds()


def played_pause(scope: Scope) -> Played:
    """Return the series that exports the pause between scoring runs."""
    labels = {"run": "score"}
    return Played("aemon_run_interval_seconds", labels, seconds(scope))
