"""Writes Prometheus rules for the configured monitors, as text."""

from dataclasses import dataclass

from aemon.operations.installation import Installation
from aemon.rules.promtool_tests import promtool_tests
from aemon.rules.rule_files import rule_groups, rules_text

RULES_FILE = "aemon.rules.yml"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRules:
    """Alerting and recording rules, and their tests.

    Attributes:
        rules: a rule file, in YAML.
        tests: a file for `promtool test rules`, which refers to the rule file `aemon.rules.yml`;
            empty if tests were not requested.
        alerts: number of alerting rules.
        left_to_notify: whether `notify` reports some or all episodes; then no rule reports these
            episodes.
    """

    rules: str
    tests: str
    alerts: int
    left_to_notify: bool


def alert_rules(
    installation: Installation,
    job: str = "aemon",
    *,
    with_tests: bool = False,
    episodes: bool = False,
) -> AlertRules:
    """Return alerting and recording rules for the configured monitors.

    The windows and waiting times of the rules follow from the schedule of each monitor.

    Args:
        installation: the installation, which has the monitors.
        job: name of the daemons' scrape job in Prometheus.
        with_tests: whether to return tests of the rules, too.
        episodes: whether rules report every episode, even if `notify` reports the episode.
    """
    config = installation.config
    groups = rule_groups(config, installation.clock(), job, episodes=episodes)
    link = config.http.url or ""
    return AlertRules(
        rules=rules_text(groups, link),
        tests=promtool_tests(groups, RULES_FILE, link) if with_tests else "",
        alerts=sum(len(group.alerts) for group in groups),
        left_to_notify=bool(config.notify) and not episodes,
    )
