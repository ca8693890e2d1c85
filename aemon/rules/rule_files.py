"""The rules file of `aemon rules`, made from a configuration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import yaml

from aemon.clock import format_duration
from aemon.config.schema import Config
from aemon.records import Job, Severity
from aemon.rules.daemon_rules import RECORDINGS, fleet_alerts
from aemon.rules.detector_rules import DETECTOR_ALERTS
from aemon.rules.rule import Alert, Scope, value_for
from aemon.rules.run_rules import RUN_ALERTS

LADDER = tuple(
    timedelta(seconds=seconds) for seconds in (15, 60, 300, 900, 3600, 21_600, 86_400, 604_800)
)
"""If a configuration has more different pauses than these values, each pause is rounded up to one
of these values.
"""

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that Prometheus evaluates together."""

    name: str
    scope: Scope
    alerts: tuple[Alert, ...]


def rule_groups(
    config: Config, now: datetime, job: str = "aemon", *, episodes: bool = False
) -> list[Group]:
    """Return the alerting rules for a configuration.

    The rules for monitors have one group for each combination of a pause between scoring runs and a
    set of labels. Together the groups cover every monitor, including monitors that are added later.

    Args:
        config: the present configuration.
        now: the time at which the search for the longest pause of a cron schedule begins.
        job: name of the daemons' scrape job in Prometheus.
        episodes: whether to alert for episodes that `notify` reports, too.
    """
    notified = {} if episodes else _notified(config)
    groups = [Group("aemon", Scope(interval=_MINUTE, usual=_MINUTE), fleet_alerts(job))]
    for labels, monitors, others in _label_sets(config):
        label_text = "".join(f", {name}={value}" for name, value in labels.items())
        names = monitors or (set(config.monitors) - set(others))
        pauses = _pauses(config, names, now)
        for shorter, pause in pairwise([timedelta(0), *pauses]):
            scope = Scope(
                interval=pause,
                usual=pauses[pause],
                above=shorter,
                open_ended=pause == max(pauses),
                monitors=monitors,
                others=others,
                labels={"pause": format_duration(pause), **labels},
                notified=notified,
            )
            name = f"aemon, monitors every {format_duration(pause)}{label_text}"
            alerts = (one for one in DETECTOR_ALERTS + RUN_ALERTS if scope.needs(one.episodes_of))
            groups.append(Group(name, scope, tuple(alerts)))
    return groups


def _notified(config: Config) -> dict[str, tuple[str, ...] | None]:
    """Return the monitors whose episodes `notify` reports: severity -> names; None for all."""
    notified: dict[str, tuple[str, ...] | None] = {}
    for severity in Severity:
        monitors = [
            receiver.monitors
            for receiver in config.notify.values()
            if severity is Severity.CRITICAL or receiver.severity == severity.value
        ]
        names = {name for some in monitors for name in some or ()}
        notified[severity.value] = None if None in monitors else tuple(sorted(names))
    return notified


def _label_sets(
    config: Config,
) -> Iterator[tuple[Mapping[str, str], tuple[str, ...], tuple[str, ...]]]:
    """Yield (labels, monitors with these labels, monitors with other labels).

    The first item is for all monitors without labels: its labels and its monitors are empty, and
    its last part has the names of all monitors with labels.
    """
    having: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, settings in config.monitors.items():
        having.setdefault(tuple(sorted(settings.labels.items())), []).append(name)
    having.pop((), None)
    yield {}, (), tuple(name for names in having.values() for name in names)
    for labels, names in having.items():
        yield dict(labels), tuple(names), ()


def _pauses(config: Config, names: Iterable[str], now: datetime) -> dict[timedelta, timedelta]:
    """Return the pauses between scoring runs, ascending: longest pause -> usual pause.

    If monitors share a longest pause, the longest of their usual pauses is returned. Without
    monitors, both pauses are one minute.
    """
    found: dict[timedelta, timedelta] = {}
    settings = [config.monitors[name] for name in names]
    pairs = [(one.pause(Job.SCORE, now), one.usual_pause(now)) for one in settings]
    many = len({longest for longest, _ in pairs}) > len(LADDER)
    for longest, usual in sorted(pairs):
        step = min((s for s in LADDER if s >= longest), default=longest) if many else longest
        found[step] = max(usual, found.get(step, usual))
    return found or {_MINUTE: _MINUTE}


def rules_text(groups: Sequence[Group], link: str) -> str:
    """Return the rules file that Prometheus reads, with the recording rules first.

    Args:
        groups: groups of alerting rules.
        link: URL of the status page; empty for no link.
    """
    documents: list[dict[str, Any]] = [
        {
            "name": "aemon, recorded",
            "rules": [{"record": one.name, "expr": one.expression} for one in RECORDINGS],
        }
    ]
    documents += [
        {"name": group.name, "rules": [_rule(a, group.scope, link) for a in group.alerts]}
        for group in groups
    ]
    return (
        "# Made by `aemon rules` from the configuration. Make it again when monitors, their\n"
        "# schedules or their labels change, instead of editing it here.\n"
        + as_yaml({"groups": documents})
    )


def _rule(alert: Alert, scope: Scope, link: str) -> dict[str, Any]:
    hold, expression = value_for(scope, alert.hold), value_for(scope, alert.expression)
    rule: dict[str, Any] = {
        "alert": alert.name,
        "expr": scope.chosen(expression),
    }
    if hold:
        rule["for"] = format_duration(hold)
    return rule | {
        "labels": rule_labels(alert, scope),
        "annotations": annotations(alert, link),
    }


def rule_labels(alert: Alert, scope: Scope) -> dict[str, str]:
    """Return the labels that a rule adds to its alerts."""
    return {"severity": alert.severity, **scope.labels}


def annotations(alert: Alert, link: str) -> dict[str, str]:
    """Return the texts of an alert: summary, description, runbook, and the link if there is one."""
    texts = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook": alert.runbook,
    }
    return texts | ({"link": link} if link else {})


class _Readable(yaml.SafeDumper):
    """A dumper that writes text of several lines as a block, and other values in one line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def as_yaml(document: Any) -> str:
    """Return a document as YAML, in the order of its keys."""
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True)
