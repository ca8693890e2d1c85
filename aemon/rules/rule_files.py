"""Prometheus rules from a configuration: `aemon rules`."""

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
"""Where a configuration has more pauses than this has steps, each is taken for the next longer."""

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
    """The alerting rules that are right for a configuration.

    Those for monitors stand in one group for each pause between scoring runs that there is, and
    for each set of labels of their own. Together they cover every monitor, later ones as well.

    Args:
        config: as it is now.
        now: the longest pause of a cron schedule is looked for from here.
        job: what Prometheus calls the scrape job of the daemons.
        episodes: alert of every episode, of those as well that `notify` tells of.
    """
    notified = {} if episodes else _notified(config)
    groups = [Group("aemon", Scope(interval=_MINUTE, usual=_MINUTE), fleet_alerts(job))]
    for labels, monitors, others in _label_sets(config):
        told = "".join(f", {name}={value}" for name, value in labels.items())
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
            name = f"aemon, monitors every {format_duration(pause)}{told}"
            alerts = (one for one in DETECTOR_ALERTS + RUN_ALERTS if scope.needs(one.episodes_of))
            groups.append(Group(name, scope, tuple(alerts)))
    return groups


def _notified(config: Config) -> dict[str, tuple[str, ...] | None]:
    """Severity -> the monitors of whose episodes some receiver of `notify` is told."""
    found: dict[str, tuple[str, ...] | None] = {}
    for severity in Severity:
        whose = [
            one.monitors
            for one in config.notify.values()
            if severity is Severity.CRITICAL or one.severity == severity.value
        ]
        everyone = None in whose
        found[severity.value] = (
            None if everyone else tuple(sorted({name for names in whose for name in names or ()}))
        )
    return found


def _label_sets(
    config: Config,
) -> Iterator[tuple[Mapping[str, str], tuple[str, ...], tuple[str, ...]]]:
    """(labels, monitors that have them, monitors that have others); first those without any."""
    having: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, settings in config.monitors.items():
        having.setdefault(tuple(sorted(settings.labels.items())), []).append(name)
    having.pop((), None)
    yield {}, (), tuple(name for names in having.values() for name in names)
    for labels, names in having.items():
        yield dict(labels), tuple(names), ()


def _pauses(config: Config, names: Iterable[str], now: datetime) -> dict[timedelta, timedelta]:
    """The longest pauses between scoring runs that there are, ascending; at least one.

    With each the longest of the usual ones that go with it.
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
    """The rules as a file that Prometheus reads.

    Args:
        groups: of alerting rules.
        link: where people find the status page.
    """
    told: list[dict[str, Any]] = [
        {
            "name": "aemon, recorded",
            "rules": [{"record": one.name, "expr": one.expression} for one in RECORDINGS],
        }
    ]
    told += [
        {"name": group.name, "rules": [_rule(a, group.scope, link) for a in group.alerts]}
        for group in groups
    ]
    return (
        "# Made by `aemon rules` from the configuration. Make it again when monitors, their\n"
        "# schedules or their labels change, instead of editing it here.\n"
        + as_yaml({"groups": told})
    )


def _rule(alert: Alert, scope: Scope, link: str) -> dict[str, Any]:
    hold, expression = value_for(scope, alert.hold), value_for(scope, alert.expression)
    told: dict[str, Any] = {
        "alert": alert.name,
        "expr": scope.chosen(expression),
    }
    if hold:
        told["for"] = format_duration(hold)
    return told | {
        "labels": rule_labels(alert, scope),
        "annotations": annotations(alert, link),
    }


def rule_labels(alert: Alert, scope: Scope) -> dict[str, str]:
    """The labels that a rule adds to its alerts."""
    return {"severity": alert.severity, **scope.labels}


def annotations(alert: Alert, link: str) -> dict[str, str]:
    """What an alert tells people."""
    told = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook": alert.runbook,
    }
    return told | ({"link": link} if link else {})


class _Readable(yaml.SafeDumper):
    """Text of several lines as such, all else in one line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def as_yaml(document: Any) -> str:
    """A document as people would write it."""
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True)
