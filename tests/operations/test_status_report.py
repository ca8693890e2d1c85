"""The status of monitors is put together once, for the daemon's page and for a store without one."""

from dataclasses import fields

import pytest

from aemon import __version__
from aemon.config.schema import Config
from aemon.operations.installation import Installation
from aemon.operations.json_form import plain
from aemon.operations.status_report import (
    DaemonState,
    Health,
    MonitorStatus,
    status_page,
    stored_status,
)


@pytest.fixture
def installation(settings, store, clock):
    pumps = settings.model_dump(exclude_unset=True)
    config = Config.model_validate({"store": "sqlite:///a.db", "monitors": {"pumps": pumps}})
    return Installation(config, store, clock)


def running(clock, *held: str) -> DaemonState:
    return DaemonState(
        started_at=clock.now,
        replica="here",
        replicas=2,
        held=held,
        wanted={"pumps": 200},
        health=Health(started=True, alive=True, heartbeat_age_seconds=3.0),
        config_refused="",
    )


def test_the_daemon_and_the_store_show_the_same_of_a_monitor(installation, clock):
    page = status_page(installation, running(clock))
    assert page.monitors == stored_status(installation)
    assert [(monitor.name, monitor.held) for monitor in page.monitors] == [("pumps", False)]


def test_a_monitor_is_held_by_the_daemon_that_watches_it(installation, clock):
    (pumps,) = status_page(installation, running(clock, "pumps")).monitors
    assert pumps.held


def test_status_json_has_the_keys_that_programs_know(installation, clock):
    told = status_page(installation, running(clock, "pumps")).as_json()
    assert list(told) == [
        "aemon", "store", "replica", "replicas", "now", "started_at", "uptime_seconds", "health",
        "config_refused", "scheduler_lag_seconds", "monitors",
    ]  # fmt: skip
    assert (told["aemon"], told["replica"], told["replicas"]) == (__version__, "here", 2)
    assert (told["health"], told["config_refused"]) == ("ok: scheduler heartbeat 3 s ago", None)
    (pumps,) = told["monitors"]
    assert list(pumps) == [
        "name", "detector_version", "trained_at", "first_trained_at", "training_records",
        "threshold", "false_alarm_rate", "calibration_records", "on_trial", "drifts",
        "traffic", "episodes_open", "realised", "read_until", "records_scored", "anomalies", "last_score",
        "last_train", "held", "provisional",
    ]  # fmt: skip
    assert pumps == plain(stored_status(installation))[0] | {"held": True}
    assert [field.name for field in fields(MonitorStatus)] == list(pumps)
