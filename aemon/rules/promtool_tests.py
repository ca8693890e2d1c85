"""Unit tests of the generated rules, for `promtool test rules`."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aemon.clock import format_duration
from aemon.rules.rule import Alert, Played, Scope, played_pause, value_for
from aemon.rules.rule_files import Group, annotations, as_yaml, rule_labels

SHORTEST_STEP = timedelta(seconds=15)
LONGEST_STEP = timedelta(minutes=4)
"""The longest time between samples: a series without a sample for five minutes counts as gone."""

EVALUATIONS = 300
"""Approximate number of evaluations in the longest test, which may cover months of a schedule."""

HOST = "host:9464"
MONITOR = "a_monitor"


def promtool_tests(groups: Sequence[Group], rules_file: str, link: str) -> str:
    """Return the text of a promtool file that tests each alert of each group.

    An alert must fire on its series `fires`, and must be silent on its series `calm`.

    Args:
        groups: groups of alerting rules, as in the rules file.
        rules_file: name of the rules file, in the same folder.
        link: URL of the status page, as in the rules file.
    """
    pairs = [(alert, group.scope) for group in groups for alert in group.alerts]
    longest = max(_fires_at(alert, scope) for alert, scope in pairs)
    every = timedelta(seconds=math.ceil(max(SHORTEST_STEP, longest / EVALUATIONS).total_seconds()))
    document = {
        "rule_files": [rules_file],
        "evaluation_interval": format_duration(every),
        "tests": [test for pair in pairs for test in _tests(*pair, every, link)],
    }
    return "# Made by `aemon rules` beside the rules: promtool test rules FILE\n" + as_yaml(
        document
    )


def _tests(alert: Alert, scope: Scope, every: timedelta, link: str) -> Iterator[dict[str, Any]]:
    labels = {**_played(alert, scope), **rule_labels(alert, scope)}
    fired = {
        "exp_labels": labels,
        "exp_annotations": _filled(annotations(alert, link), labels, alert.becomes),
    }
    fires = value_for(scope, alert.fires)
    late = _fires_at(alert, scope) + 3 * every
    yield _test(f"{alert.name} fires", alert, scope, late, fires, [fired])
    yield _test(f"{alert.name} is silent", alert, scope, late, value_for(scope, alert.calm), [])
    if alert.waits:
        half = _fires_at(alert, scope) / 2
        yield _test(f"{alert.name} waits", alert, scope, half, fires, [])


def _fires_at(alert: Alert, scope: Scope) -> timedelta:
    """Return how long a test plays the series `fires` until the alert must fire."""
    return value_for(scope, alert.after) + value_for(scope, alert.hold)


def _test(
    name: str,
    alert: Alert,
    scope: Scope,
    lasts: timedelta,
    played: Iterable[Played],
    expected: list[dict[str, Any]],
) -> dict[str, Any]:
    step = min(LONGEST_STEP, max(SHORTEST_STEP, scope.usual))
    series = list(played)
    if scope.narrow and not any(map(_is_pause, series)):
        series.append(played_pause(scope))
    steps = math.ceil(lasts / step) + 1
    return {
        "name": f"{name}, monitors every {format_duration(scope.interval)}",
        "interval": format_duration(step),
        "input_series": [_series(one, alert, scope, step, steps) for one in series],
        "alert_rule_test": [
            {
                "eval_time": format_duration(lasts),
                "alertname": alert.name,
                **({"exp_alerts": expected} if expected else {}),
            }
        ],
    }


def _series(
    series: Played, alert: Alert, scope: Scope, step: timedelta, steps: int
) -> dict[str, str]:
    labels = {**_played(alert, scope), "instance": HOST, **series.labels}
    pairs = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    growth = series.slope * step.total_seconds()
    values = f"{_number(series.start)}+{_number(growth)}x{steps}"
    return {"series": f"{series.metric}{{{pairs}}}", "values": values}


def _played(alert: Alert, scope: Scope) -> dict[str, str]:
    """Return the labels of an alert's result."""
    notified = scope.notified.get(alert.episodes_of) or ()
    names = [name for name in scope.monitors if name not in notified]
    values = {"monitor": (*names, MONITOR)[0], "instance": HOST}
    for one in value_for(scope, alert.fires):
        values |= one.labels
    return {name: values[name] for name in alert.carries}


def _is_pause(series: Played) -> bool:
    return series.metric == "aemon_run_interval_seconds" and series.labels["run"] == "score"


def _filled(
    templates: dict[str, str], labels: dict[str, str], becomes: Mapping[str, str]
) -> dict[str, str]:
    """Return the annotations as Prometheus renders them for an alert with these labels."""
    filled = dict(templates)
    for part, text in becomes.items():
        filled = {key: value.replace(part, text) for key, value in filled.items()}
    for name, value in labels.items():
        placeholder = f"{{{{ $labels.{name} }}}}"
        filled = {key: text.replace(placeholder, value) for key, text in filled.items()}
    return filled


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
