"""Prometheus rules made from a configuration; promtool is asked about them."""

import re
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer.main
import yaml

from aemon.cli.main import app
from aemon.config.schema import Config, MonitorSettings
from aemon.metrics.catalogue import CATALOGUE
from aemon.rules.daemon_rules import RECORDINGS
from aemon.rules.promtool_tests import promtool_tests
from aemon.rules.rule import Scope, value_for
from aemon.rules.rule_files import LADDER, annotations, rule_groups, rules_text
from aemon.sources.host.settings import HostSource
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from tests.documents import PAGES, blocks
from tests.lacking import needs_program
from tests.processes import aemon

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def config(**monitors) -> Config:
    """Monitors by name: the pause between their runs, or that and their labels."""
    settings = {}
    for name, value in monitors.items():
        every, labels = value if isinstance(value, tuple) else (value, {})
        source = HostSource()
        settings[name] = MonitorSettings(source=source, score_every=every, labels=labels)
    return Config(monitors=settings)


def promtool(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    command = [needs_program("promtool", "prometheus"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def write(folder: Path, groups, link: str = "") -> None:
    (folder / "rules.yml").write_text(rules_text(groups, link), encoding="utf-8")
    (folder / "test.yml").write_text(promtool_tests(groups, "rules.yml", link), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Rules and their tests for two pauses between runs."""
    folder = tmp_path_factory.mktemp("rules")
    two = config(pumps="1m", belts="1h")
    write(folder, rule_groups(two, NOW), "https://aemon.example")
    return folder


def test_promtool_takes_the_rules_and_they_pass_their_own_tests(folder):
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", "test.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "SUCCESS" in tested.stdout


def test_labels_of_a_monitor_are_those_of_its_alerts(tmp_path):
    labelled = config(pumps="1m", **{"fans.a": ("1m", {"team": "water"})})
    write(tmp_path, rule_groups(labelled, NOW))
    assert check_only(tmp_path, "AemonEpisode").returncode == 0
    text = (tmp_path / "rules.yml").read_text()
    (tmp_path / "rules.yml").write_text(text.replace("team: water", "team: air"))
    tested = check_only(tmp_path, "AemonEpisode")
    assert tested.returncode != 0
    assert 'monitor="fans.a"' in tested.stdout + tested.stderr


def test_what_notify_tells_of_no_rule_tells_once_more(tmp_path):
    """By severity and monitor; the tests of the rules that are left pass."""
    hook = {"kind": "webhook", "url": "http://127.0.0.1:1"}

    def told(*, episodes=False, **notify) -> dict[str, int]:
        one = config(pumps="1m", belts="1h", **{"fans.a": ("1m", {"team": "water"})})
        one = Config.model_validate({"monitors": one.monitors, "notify": notify})
        groups = rule_groups(one, NOW, episodes=episodes)
        write(tmp_path, groups)
        alerts = Counter(
            f"{alert.name} {alert.severity}" for group in groups for alert in group.alerts
        )
        return {name: count for name, count in alerts.items() if "AemonEpisode" in name}

    critical, warning, muting = (
        "AemonEpisode critical", "AemonEpisode warning", "AemonEpisodeAcknowledged info",
    )  # fmt: skip
    everything = {critical: 3, warning: 3, muting: 3}
    assert told() == everything
    assert told(ops=hook) == {}
    assert told(ops=hook, episodes=True) == everything
    assert told(ops={**hook, "severity": "critical"}) == {warning: 3, muting: 3}
    assert check_only(tmp_path, "AemonEpisode").returncode == 0
    of_some = {**hook, "monitors": ["fans.a", "belts"]}
    assert told(ops=of_some) == {critical: 2, warning: 2, muting: 2}
    assert check_only(tmp_path, "AemonEpisode").returncode == 0
    text = (tmp_path / "rules.yml").read_text()
    assert text.count(r'monitor!~"belts|fans\\.a"') >= 3


def check_only(folder: Path, name: str) -> subprocess.CompletedProcess:
    """Check the rules, then run those of their tests whose names begin so."""
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = yaml.safe_load((folder / "test.yml").read_text())
    tests["tests"] = [test for test in tests["tests"] if test["name"].startswith(name)]
    assert tests["tests"]
    (folder / "some.yml").write_text(yaml.safe_dump(tests))
    return promtool("test", "rules", "some.yml", cwd=folder)


def test_an_hourly_monitor_is_not_late_by_the_rules_for_one_minute(folder):
    """Both ran last at the same time; `pumps` every minute, `belts` every hour."""
    late = {
        "4m": set(), "6m": {"pumps"}, "100m": {"pumps"}, "181m": {"pumps"}, "183m": {"belts", "pumps"},
    }  # fmt: skip
    series = []
    for name, pause in (("pumps", 60), ("belts", 3600)):
        of = f'run="score", monitor="{name}", instance="host", job="aemon"'
        series += [
            (f"aemon_run_interval_seconds{{{of}}}", f"{pause}x190"),
            (f"aemon_run_last_success_timestamp_seconds{{{of}}}", "0x190"),
            (f'aemon_run_late_after_timestamp_seconds{{monitor="{name}"}}', f"{3 * pause}x190"),
        ]
    told = rule_groups(config(pumps="1m", belts="1h"), NOW)
    alert = next(a for a in told[1].alerts if a.name == "AemonMonitorStale")
    pauses = {"pumps": "1m", "belts": "1h"}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [
            {
                "eval_time": at,
                "alertname": alert.name,
                "exp_alerts": [
                    {
                        "exp_labels": {
                            "monitor": name, "severity": "critical", "pause": pauses[name],
                        },
                        "exp_annotations": {
                            key: text.replace("{{ $labels.monitor }}", name)
                            for key, text in annotations(alert, "https://aemon.example").items()
                        },
                    }
                    for name in sorted(names)
                ],
            }
            for at, names in late.items()
        ],
    }  # fmt: skip
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "late.yml").write_text(yaml.safe_dump(whole))
    tested = promtool("test", "rules", "late.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("alert", "series", "at"),
    [
        # A host has just begun, and its database a moment after aemon.
        (
            "AemonRunsFail",
            {
                'aemon_runs_total{monitor="pumps", run="score", outcome="failed"}': "_x8 0 1x40",
                'aemon_runs_total{monitor="pumps", run="score", outcome="ok"}': "_x8 0x4 1+0.25x40",
            },
            ("135s", "150s", "3m", "210s", "5m"),
        ),
        # The first run reads a source's history, for minutes.
        (
            "AemonRunsMissed",
            {
                'aemon_runs_total{monitor="pumps", run="score", outcome="skipped"}': "0+0.25x100",
                'aemon_runs_total{monitor="pumps", run="score", outcome="ok"}': "0x100",
            },
            ("5m", "10m", "20m"),
        ),
        # One record in ten minutes has no time.
        (
            "AemonRecordsRejected",
            {
                'aemon_records_rejected_total{monitor="pumps", reason="no_time"}': "0x20 1x80",
                'aemon_source_records_read_total{monitor="pumps"}': "0+1x100",
            },
            ("6m", "10m", "13m"),
        ),
        # An episode was to be told the moment after the start.
        (
            "AemonNotificationsFail",
            {'aemon_notifications_waiting{receiver="ops"}': "_x8 1x8 0x20"},
            ("135s", "3m", "210s"),
        ),
    ],
)
def test_nobody_is_called_for_what_happens_once(folder, alert, series, at):
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": time, "alertname": alert} for time in at],
    }
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    pause = 'aemon_run_interval_seconds{monitor="pumps", run="score"}'
    test["input_series"].append({"series": pause, "values": "60x100"})
    (folder / "once.yml").write_text(yaml.safe_dump(whole))
    tested = promtool("test", "rules", "once.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_open_episode_goes_on_while_its_monitor_changes_hands(folder):
    """Prometheus asks each daemon in its turn, and may meet neither as the one that has it."""
    of = (
        'aemon_episode_info{monitor="pumps", severity="critical", episode="7", column="flow", '
        'state="open", instance='
    )
    pause = 'aemon_run_interval_seconds{monitor="pumps", run="score"}'
    series = {f'{of}"a"}}': "1x8 stale", f'{of}"b"}}': "_x13 1x8 stale", pause: "60x60"}
    alerts = 'count(ALERTS{alertname="AemonEpisode", monitor="pumps"}) or vector(0)'
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": alerts, "eval_time": at, "exp_samples": [{"value": count}]}
            for at, count in (("2m", 1), ("150s", 1), ("3m", 1), ("4m", 1), ("9m", 0))
        ],
    }
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "hands.yml").write_text(yaml.safe_dump(whole))
    tested = promtool("test", "rules", "hands.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_episode_that_was_over_at_once_is_told_for_five_minutes(folder):
    """And one that was told while it was open is not told once more when it is over."""
    of = 'aemon_episode_info{monitor="pumps", severity="critical", column="flow", episode='
    pause = 'aemon_run_interval_seconds{monitor="pumps", run="score"}'
    series = {
        f'{of}"7", state="closed"}}': "_x4 1x60",
        f'{of}"8", state="open"}}': "1x40 _x20",
        f'{of}"8", state="closed"}}': "_x41 1x20",
        pause: "60x70",
    }
    alerts = 'count(ALERTS{alertname="AemonEpisode", episode="%s"}) or vector(0)'
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": alerts % number, "eval_time": at, "exp_samples": [{"value": count}]}
            for number, at, count in (
                (7, "45s", 0), (7, "2m", 1), (7, "5m", 1), (7, "7m", 0), (7, "12m", 0),
                (8, "2m", 1), (8, "10m", 1), (8, "11m", 1), (8, "13m", 0),
            )
        ],
    }  # fmt: skip
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "over.yml").write_text(yaml.safe_dump(whole))
    tested = promtool("test", "rules", "over.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_who_waits_for_half_an_hour_is_told_of(folder):
    """Given a receiver that takes nothing, and two daemons of which one has just begun."""
    of = 'aemon_notifications_waiting{receiver="ops", instance='
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f'{of}"a"}}', "values": "0x5 2x60"},
            {"series": f'{of}"b"}}', "values": "_x30 2x30"},
        ],
        "promql_expr_test": [
            {
                "expr": 'count(ALERTS{alertname="AemonNotificationsFail", receiver="ops"}) or vector(0)',
                "eval_time": at,
                "exp_samples": [{"value": count}],
            }
            for at, count in (("33m", 0), ("40m", 1))
        ],
    }
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "waits.yml").write_text(yaml.safe_dump(whole))
    tested = promtool("test", "rules", "waits.yml", cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("is_so", "made_so", "fails"),
    [
        ("> 120", "> 120000", "AemonMonitorStale fires"),
        ("> 120", "> -1200", "AemonMonitorStale is silent"),
        ("aemon_lease_held == 0", "aemon_lease_held >= 0", "AemonMonitorUnwatched is silent"),
        ("for: 1d", "for: 1m", "AemonDetectorUntrained waits"),
        ("severity: warning", "severity: page", "AemonRunsFail fires"),
        ("absent(aemon_build_info)", "absent(nothing)", "AemonAbsent is silent"),
    ],
)
def test_a_rule_that_is_wrong_fails_its_tests(tmp_path, is_so, made_so, fails):
    write(tmp_path, rule_groups(config(pumps="1m"), NOW))
    path = tmp_path / "rules.yml"
    text = path.read_text().replace("max by (monitor) (aemon_lease_held)", "aemon_lease_held")
    assert is_so in text
    path.write_text(text.replace(is_so, made_so))
    tested = check_only(tmp_path, fails)
    assert tested.returncode != 0
    assert fails in tested.stdout + tested.stderr


def test_rules_ask_only_for_metrics_that_there_are(folder):
    text = (folder / "rules.yml").read_text() + (folder / "test.yml").read_text()
    names = {f"{m.name}_total" if m.kind == "counter" else m.name for m in CATALOGUE}
    recorded = {one.name.split(":")[1] for one in RECORDINGS}
    asked = set(re.findall(r"\baemon_\w+", text)) - recorded
    assert asked - names == set()
    assert len(asked) > 15


def matches(scope, name: str, pause: timedelta) -> bool:
    """Whether a scope's rules see a monitor, as Prometheus would decide it."""
    matcher = re.search(r'monitor(=~|!~)"(.*)"', scope.series("aemon_threshold"))
    if matcher:
        names = matcher[2].replace(r"\\", "\\")
        if bool(re.fullmatch(names, name)) != (matcher[1] == "=~"):
            return False
    chosen = scope.chosen("x")
    above, most = re.search(r"> ([\d.]+)", chosen), re.search(r"<= ([\d.]+)", chosen)
    seconds = pause.total_seconds()
    return not (above and seconds <= float(above[1])) and not (most and seconds > float(most[1]))


@pytest.mark.parametrize("seconds", [1, 60, 61, 3600, 90_000])
@pytest.mark.parametrize("name", ["pumps", "fans", "a.b", "axb", "later"])
def test_every_monitor_is_seen_by_one_group(name, seconds):
    """Also one that came, or was given another schedule, after the rules were made."""
    three = config(
        pumps="1m", fans=("1h", {"team": "water"}), **{"a.b": ("1h", {"team": "air"})}, belts="1h"
    )
    groups = rule_groups(three, NOW)[1:]
    seen = [g.name for g in groups if matches(g.scope, name, timedelta(seconds=seconds))]
    assert len(seen) == 1
    team = {"fans": "team=water", "a.b": "team=air"}.get(name)
    assert (team in seen[0]) if team else ("team" not in seen[0])


def test_windows_follow_the_pause():
    text = rules_text(rule_groups(config(pumps="2h"), NOW), "")
    assert "[20h]" in text
    assert "[10m]" not in text
    assert "pause: 2h" in text


def test_a_schedule_that_stands_still_at_night_has_windows_of_its_days(tmp_path):
    """On a weekend nothing runs for sixty hours; what is counted by day is counted by minutes."""
    groups = rule_groups(config(office="*/5 8-18 * * 1-5"), NOW)
    scope = groups[1].scope
    assert (scope.interval, scope.usual) == (timedelta(hours=61, minutes=5), timedelta(minutes=5))
    write(tmp_path, groups)
    text = (tmp_path / "rules.yml").read_text()
    assert "[50m]" in text
    assert "pause: 2d13h5m" in text
    for name in ("AemonMonitorUnwatched", "AemonRunsFail", "AemonMonitorStale"):
        tested = check_only(tmp_path, name)
        assert tested.returncode == 0, tested.stdout + tested.stderr


def test_many_pauses_are_told_in_a_few_groups():
    pauses = {f"m{n}": f"{n}s" for n in range(1, 200, 7)} | {"yearly": "400d"}
    groups = rule_groups(config(**pauses), NOW)
    assert 1 < len(groups) <= len(LADDER) + 2
    for number in (1, 8, 99, 10**7):
        pause = timedelta(seconds=number)
        assert sum(matches(group.scope, "m1", pause) for group in groups[1:]) == 1


RUNBOOKS = {
    alert.name: alert.runbook.replace("{{ $labels.monitor }}", "pumps")
    .replace("{{ $labels.receiver }}", "chat").replace("{{ $labels.episode }}", "41").replace("NUMBER", "41")
    for group in rule_groups(config(pumps="1m"), NOW)
    for alert in group.alerts
}  # fmt: skip
ARGUMENTS = re.compile(r"--?[a-z-]+|pumps|chat|41|false_alarm|FILE")


@pytest.mark.parametrize("name", RUNBOOKS)
def test_the_command_line_takes_what_a_runbook_says(name):
    for told in re.findall(r"\baemon ([^.;:,]+)", RUNBOOKS[name]):
        command, words = typer.main.get_command(app), told.split()
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), told
        given = next((n for n, word in enumerate(words) if not ARGUMENTS.fullmatch(word)), None)
        if words[:given]:
            command.make_context(told, words[:given])  # raises what it would tell


def test_the_store_takes_what_a_runbook_asks(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
    revisions.prepare(engine)
    asked = [sql for text in RUNBOOKS.values() for sql in re.findall(r"SELECT [^;.]*", text)]
    assert len(asked) >= 5
    with engine.connect() as connection:
        for sql in asked:
            connection.execute(sa.text(sql))
    engine.dispose()


def test_a_link_is_told_where_there_is_one(folder):
    assert "link: https://aemon.example" in (folder / "rules.yml").read_text()
    assert "link:" not in rules_text(rule_groups(config(pumps="1m"), NOW), "")


def test_the_page_of_alerts_has_every_alert():
    groups = rule_groups(config(pumps="1m"), NOW)
    alerts = {(alert.name, alert.severity) for group in groups for alert in group.alerts}
    told = re.findall(r"^\| `(Aemon\w+)` \| ([a-z, ]+) \|", PAGES["alert-rules"], re.MULTILINE)
    assert {(name, one) for name, levels in told for one in levels.split(", ")} == alerts


def test_prometheus_takes_the_configuration_of_the_page(tmp_path):
    """With the rules where the command puts them, and once more with what a secured port takes."""
    (told,) = [block for block in blocks("yml") if "scrape_configs" in block]
    (tmp_path / "aemon.yaml").write_text(
        "monitors: {here: {source: {kind: host}, score_every: 30s}}", encoding="utf-8"
    )
    aemon("rules", "--output", "rules", cwd=tmp_path)
    (tmp_path / "aemon.crt").write_text("")
    (tmp_path / "aemon.token").write_text("s3cret")
    for text in (told, re.sub(r"#(scheme|tls_config|authorization):", r"\1:", told)):
        (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
        checked = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "1 rule files found" in checked.stdout
    assert "authorization" in yaml.safe_load(text)["scrape_configs"][0]


def test_the_command_prints_rules_or_writes_them_with_their_tests(tmp_path):
    (tmp_path / "aemon.yaml").write_text(
        "monitors: {here: {source: {kind: host}, score_every: 30s}}", encoding="utf-8"
    )
    printed = aemon("rules", cwd=tmp_path)
    assert printed.returncode == 0
    aemon("rules", "--output", "made", "--job", "mine", cwd=tmp_path)
    text = (tmp_path / "made/aemon.rules.yml").read_text()
    assert text == printed.stdout.replace('job="aemon"', 'job="mine"').replace(
        "job aemon.", "job mine."
    )
    assert "aemon.rules.yml" in (tmp_path / "made/aemon.rules.test.yml").read_text()
    (tmp_path / "file").write_text("")
    refused = aemon("rules", "--output", "file/made", cwd=tmp_path, check=False)
    assert refused.returncode == 3
    assert "choose a folder that can be written" in refused.stderr


def test_a_field_of_a_rule_is_a_value_or_depends_on_the_scope():
    scope = Scope(interval=timedelta(hours=1), usual=timedelta(minutes=1))
    assert value_for(scope, timedelta(minutes=3)) == timedelta(minutes=3)
    assert value_for(scope, lambda s: 2 * s.interval) == timedelta(hours=2)
    assert value_for(scope, ()) == ()
