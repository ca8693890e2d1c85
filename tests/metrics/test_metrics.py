"""The metrics: named as documented, from 0, without leftovers."""

import ast
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from aemon.config.schema import MonitorSettings
from aemon.config.values.cron import Cron
from aemon.metrics.catalogue import CATALOGUE, Catalogue
from aemon.metrics.metrics import Metrics
from aemon.records import (
    DetectorState,
    DriftReport,
    EpisodeState,
    Job,
    NamedEpisode,
    OpenEpisodes,
    Outcome,
    Severity,
)
from aemon.run_report import RunCounts, RunReport
from aemon.sources.host.settings import HostSource
from aemon.store.detectors import StoredDetector
from aemon.store.queries import Flagged
from tests.documents import PAGES, TEXT
from tests.lacking import needs_program

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
REPORT = RunReport(
    monitor="pumps",
    job=Job.SCORE,
    outcome=Outcome.OK,
    started_at=NOW,
    finished_at=NOW + timedelta(seconds=2),
    counts=RunCounts(
        records_read=105,
        records_scored=100,
        rejected={"no_time": 5},
        exceedances=(1.5, 4.0),
        critical=1,
        suppressed={"snoozed": 3},
        episodes_opened={"critical": 1},
        episodes_open=OpenEpisodes(
            critical=2,
            acknowledged=1,
            named=(
                NamedEpisode(
                    id=41,
                    entity="p4",
                    severity=Severity.CRITICAL,
                    state=EpisodeState.OPEN,
                    column="flow",
                ),
            ),
            unnamed={"critical": 2},
        ),
        largest_exceedance=4.0,
        newest_record=NOW - timedelta(seconds=10),
    ),
)
DRIFT = DriftReport(evidence=0.5, largest_index=0.1, open=1, found=1, provisional=False)
DETECTOR = StoredDetector(
    id=3,
    monitor="pumps",
    version=1,
    threshold_id=3,
    trained_at=NOW,
    trained_from=NOW - timedelta(days=8),
    trained_until=NOW - timedelta(days=1),
    training_records=640,
    validation_error=0.1,
    settings_hash="",
    threshold=2.5,
    false_alarm_rate=0.001,
    artifact_sha256="",
    state=DetectorState.ACTIVE,
    state_at=NOW,
    calibration_records=1000,
    lines_sha256=None,
)


def counting(outcome: Outcome = Outcome.OK, **counts) -> RunReport:
    """The report, with other counts."""
    return replace(REPORT, outcome=outcome, counts=replace(REPORT.counts, **counts))


def documented_names() -> list[str]:
    """The names as Prometheus sees them."""
    return [f"{m.name}_total" if m.kind == "counter" else m.name for m in CATALOGUE]


@pytest.fixture
def metrics():
    metrics = Metrics(CollectorRegistry())
    metrics.add_monitor(
        "pumps", MonitorSettings(source=HostSource(), score_every=timedelta(seconds=30))
    )
    return metrics


def attribute(metrics, metric):
    return getattr(metrics, metric.name.removeprefix("aemon_"))


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_a_metric_is_the_attribute_of_its_name(metrics):
    for metric in CATALOGUE:
        assert hasattr(Catalogue, metric.name.removeprefix("aemon_")), metric.name
        made = attribute(metrics, metric)
        assert getattr(made, "metric", metric) == metric
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_a_metric_cannot_be_used_before_it_is_made():
    with pytest.raises(AttributeError, match="aemon_store_errors is not set yet"):
        _ = object.__new__(Catalogue).store_errors


def test_no_metric_is_looked_up_by_its_name():
    """A misspelt attribute is found by mypy; misspelt text only in the middle of an outage."""

    def names_a_metric(node):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        first = parts[0] if parts else None
        text = first.value if isinstance(first, ast.Constant) else None
        return isinstance(text, str) and text.startswith("aemon_")

    found = []
    for path in (ROOT / "aemon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            looked_up = []
            if isinstance(node, ast.Subscript):
                looked_up = [node.slice]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                looked_up = node.args if node.func.id in {"getattr", "hasattr"} else []
            found += [f"{path}:{node.lineno}" for part in looked_up if names_a_metric(part)]
    assert found == []
    assert not hasattr(Metrics, "__getitem__")
    assert not hasattr(Metrics, "__getattr__")


def test_counters_start_at_zero(metrics):
    assert value(metrics, "aemon_records_scored_total", monitor="pumps") == 0
    assert value(metrics, "aemon_anomalies_total", monitor="pumps", severity="critical") == 0
    assert value(metrics, "aemon_runs_total", monitor="pumps", run="train", outcome="failed") == 0
    assert value(metrics, "aemon_episodes_total", monitor="pumps", severity="warning") == 0
    suppressed = "aemon_records_suppressed_total"
    assert value(metrics, suppressed, monitor="pumps", reason="snoozed") == 0
    assert value(metrics, "aemon_run_interval_seconds", monitor="pumps", run="score") == 30


def test_a_run_is_counted(metrics):
    metrics.observe(REPORT)
    assert value(metrics, "aemon_runs_total", monitor="pumps", run="score", outcome="ok") == 1
    assert value(metrics, "aemon_source_records_read_total", monitor="pumps") == 105
    assert value(metrics, "aemon_records_rejected_total", monitor="pumps", reason="no_time") == 5
    assert value(metrics, "aemon_anomalies_total", monitor="pumps", severity="warning") == 1
    assert value(metrics, "aemon_anomalies_total", monitor="pumps", severity="critical") == 1
    assert value(metrics, "aemon_records_suppressed_total", monitor="pumps", reason="snoozed") == 3
    assert value(metrics, "aemon_episodes_total", monitor="pumps", severity="critical") == 1
    assert value(metrics, "aemon_episodes_open", monitor="pumps", severity="critical") == 2
    assert value(metrics, "aemon_episodes_open", monitor="pumps", severity="warning") == 0
    assert value(metrics, "aemon_episodes_acknowledged", monitor="pumps") == 1
    assert value(metrics, "aemon_episodes_unnamed", monitor="pumps", severity="critical") == 2
    named = {"monitor": "pumps", "severity": "critical", "episode": "41", "entity": "p4"}
    assert value(metrics, "aemon_episode_info", **named, column="flow", state="open") == 1
    metrics.show_open("pumps", OpenEpisodes())
    assert "episode=" not in metrics.exposed().decode(), "it is over"
    assert value(metrics, "aemon_last_run_max_exceedance_ratio", monitor="pumps") == 4
    newest = value(metrics, "aemon_source_newest_record_timestamp_seconds", monitor="pumps")
    assert newest == (NOW - timedelta(seconds=10)).timestamp()
    last = "aemon_run_last_success_timestamp_seconds"
    assert value(metrics, last, monitor="pumps", run="score") == REPORT.finished_at.timestamp()


def test_a_failure_is_no_success(metrics):
    metrics.observe(replace(REPORT, outcome=Outcome.FAILED))
    last = "aemon_run_last_success_timestamp_seconds"
    assert value(metrics, last, monitor="pumps", run="score") is None


@pytest.mark.parametrize(
    ("every", "minutes"),
    [
        (timedelta(minutes=1), 3),
        # On a Friday evening, the third is due on Monday at 8:10.
        (Cron.parse("*/5 8-18 * * 1-5"), 2 * 24 * 60 + 13 * 60 + 15),
    ],
)
def test_a_monitor_is_late_by_its_own_schedule(metrics, every, minutes):
    """Not after three of its longest pauses, which are a week of nights and weekends."""
    metrics.add_monitor("pumps", MonitorSettings(source=HostSource(), score_every=every))
    evening = datetime(2026, 2, 27, 18, 55, 30, tzinfo=UTC)
    metrics.observe(replace(REPORT, finished_at=evening))
    name, slack = "aemon_run_late_after_timestamp_seconds", timedelta(minutes=2.5)
    shown = value(metrics, name, monitor="pumps")
    due = datetime.fromtimestamp(shown, UTC) - slack
    assert due - evening == timedelta(minutes=minutes) - timedelta(
        seconds=30 if isinstance(every, Cron) else 0
    )
    metrics.observe(replace(REPORT, outcome=Outcome.FAILED))
    assert value(metrics, name, monitor="pumps") == shown, "a failure puts nothing off"


def test_a_detector_is_not_old_while_its_successor_is_on_trial(metrics):
    """Trained every hour, but a trial may last a day; so may its own have."""
    hourly = MonitorSettings(
        source=HostSource(), score_every=timedelta(minutes=1), train_every=timedelta(hours=1)
    )
    metrics.add_monitor("pumps", hourly)
    age = value(metrics, "aemon_detector_stale_after_seconds", monitor="pumps")
    assert age >= 2 * hourly.life.trial_longest.total_seconds() + 3 * 3600
    untried = hourly.model_copy(update={"life": hourly.life.model_copy(update={"trial": False})})
    metrics.add_monitor("pumps", untried)
    assert value(metrics, "aemon_detector_stale_after_seconds", monitor="pumps") == 4 * 3600


def test_the_cold_start_is_shown_until_there_is_a_detector(metrics):
    metrics.observe(counting(outcome=Outcome.COLLECTING, records_read=312, records_wanted=1000))
    assert value(metrics, "aemon_cold_start_records", monitor="pumps") == 312
    assert value(metrics, "aemon_cold_start_wanted_records", monitor="pumps") == 1000
    assert value(metrics, "aemon_source_records_read_total", monitor="pumps") == 0
    metrics.show_detector(DETECTOR)
    assert value(metrics, "aemon_cold_start_records", monitor="pumps") is None


def test_keys_that_were_given_up_are_counted(metrics):
    for _ in range(2):
        metrics.observe(counting(keys_given_up=3))
    assert value(metrics, "aemon_source_keys_given_up_total", monitor="pumps") == 6


def test_a_new_detector_leaves_no_series_of_the_old_one(metrics):
    metrics.show_detector(DETECTOR)
    metrics.show_detector(replace(DETECTOR, id=4, version=2, threshold=3.0))
    assert value(metrics, "aemon_detector_info", monitor="pumps", version="1") is None
    assert value(metrics, "aemon_detector_info", monitor="pumps", version="2") == 1
    assert value(metrics, "aemon_threshold", monitor="pumps") == 3.0


def test_what_is_told_late_brings_no_series_back(metrics):
    """A run may end, and a detector be looked up, while its monitor goes to another daemon."""
    metrics.forget_monitor("pumps")
    metrics.show_detector(DETECTOR, Flagged(judged=900, flagged=8))
    metrics.show_feedback("pumps", 2)
    metrics.observe(REPORT)
    metrics.count_source_error("pumps", "unfit")
    assert "pumps" not in metrics.exposed().decode()


def test_the_realised_rate_stands_beside_the_promised_one(metrics):
    """Given a detector, a store that knows what it flagged before, and a run."""
    name = "aemon_realised_anomaly_ratio"
    metrics.observe(REPORT)
    assert value(metrics, name, monitor="pumps") is None
    metrics.show_detector(DETECTOR)
    assert value(metrics, name, monitor="pumps") is None, "it has judged nothing"
    metrics.show_detector(DETECTOR, Flagged(judged=900, flagged=8))
    assert value(metrics, name, monitor="pumps") == 8 / 900
    metrics.observe(counting(records_scored=110, records_absent=10))
    assert value(metrics, name, monitor="pumps") == 10 / 1000
    assert value(metrics, "aemon_promised_false_alarm_ratio", monitor="pumps") == 0.001
    metrics.show_detector(replace(DETECTOR, id=4, version=2))
    assert value(metrics, name, monitor="pumps") is None, "the new one begins anew"


@pytest.fixture
def busy(metrics):
    """Metrics of which each has been used."""
    settings = MonitorSettings(source=HostSource(), score_every="30s", entity_metrics=2)
    metrics.add_monitor("pumps", settings)
    metrics.observe(counting(by_entity={"p1": 1.5, "p2": 0.5}, drift=DRIFT))
    metrics.show_detector(DETECTOR, Flagged(judged=100, flagged=2))
    metrics.observe(replace(REPORT, outcome=Outcome.COLLECTING))
    for metric in CATALOGUE:
        if metric.kind != "histogram" and metric.labels in {(), ("monitor",)}:
            attribute(metrics, metric).labels(*("pumps" for _ in metric.labels)).inc()
    metrics.add_receiver("ops")
    metrics.config_reloads.labels("ok").inc()
    metrics.records_pruned.labels("runs").inc(7)
    return metrics


def samples(text: bytes) -> dict:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def test_everything_exposed_is_in_the_catalogue_and_the_other_way_round(busy):
    lines = busy.exposed().decode()
    names = re.findall(r"^# HELP (\S+) ", lines, re.MULTILINE)
    kept = [name for name in names if not name.endswith("_created")]
    assert sorted(n for n in kept if not n.startswith("process_")) == sorted(documented_names())
    assert "process_resident_memory_bytes" in kept
    there = set(re.findall(r"^(aemon_\w+?)(?:_bucket)?[{ ]", lines, re.MULTILINE))
    assert set(documented_names()) <= there, "each has a series"


def test_what_is_exposed_is_what_prometheus_client_would_write(busy):
    assert samples(busy.exposed()) == samples(generate_latest(busy.registry))


def test_every_counter_of_a_monitor_begins_at_zero(metrics):
    text = metrics.exposed().decode()
    for metric in CATALOGUE:
        if metric.kind == "counter" and "monitor" in metric.labels:
            assert f'{metric.name}_total{{monitor="pumps"' in text, metric.name


def test_a_monitor_that_is_gone_leaves_no_series(busy):
    busy.forget_monitor("pumps")
    busy.observe(REPORT)
    busy.count_source_error("pumps", "unfit")
    assert "pumps" not in busy.exposed().decode()
    assert "pumps" not in generate_latest(busy.registry).decode()


def test_entities_are_shown_where_they_are_asked_for_and_no_more_of_them(metrics):
    def entities() -> dict[str, float]:
        name = "aemon_entity_max_exceedance_ratio"
        found = samples(metrics.exposed()).items()
        return {dict(key[1:])["entity"]: number for key, number in found if key[0] == name}

    first = counting(by_entity={"p1": 1.5, "p2": 0.5})
    metrics.observe(first)
    assert entities() == {}
    settings = MonitorSettings(source=HostSource(), score_every="30s", entity_metrics=2)
    metrics.add_monitor("pumps", settings)
    metrics.observe(first)
    assert entities() == {"p1": 1.5, "p2": 0.5}
    metrics.observe(counting(by_entity={"p3": 9.0, "p2": 0.7}))
    assert entities() == {"p1": 1.5, "p2": 0.7}
    left_out = "aemon_entity_series_left_out_total"
    assert value(metrics, left_out, monitor="pumps") == 3, "two before they were asked for"


def test_promtool_finds_nothing_to_say_of_them(busy):
    checked = subprocess.run(
        [needs_program("promtool", "prometheus"), "check", "metrics"],
        input=busy.exposed(), capture_output=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_names_and_labels_follow_the_rules():
    """`job` and `instance` are Prometheus' own: it would call ours exported_job."""
    for metric in CATALOGUE:
        assert metric.name.startswith("aemon_")
        assert not metric.name.endswith(("_total", "_milliseconds", "_count"))
        assert set(metric.labels) <= {
            "monitor", "run", "outcome", "reason", "severity", "version", "table", "ruling",
            "source", "detector", "entity", "receiver", "status", "episode", "column", "state",
        }  # fmt: skip
        assert metric.help


def test_the_page_of_metrics_says_of_each_what_the_catalogue_says():
    lines = PAGES["metrics"].splitlines()
    for name, metric in zip(documented_names(), CATALOGUE, strict=True):
        assert f"| `{name}` | {', '.join(metric.labels)} | {metric.help} |" in lines


def test_no_document_names_a_metric_that_is_not_there():
    series = {f"{name}{end}" for name in documented_names() for end in ("", "_bucket", "_count")}
    assert not set(re.findall(r"(?<!:)\baemon_[a-z_]+[a-z]", TEXT)) - series
