"""Configurations made at random: whatever stands in one, it is taken and works, or is refused."""

import os
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from aemon.config.loading import load_config
from aemon.config.schema import Config, MonitorSettings
from aemon.config.web_settings import WebSettings
from aemon.daemon.triggers import trigger_of
from aemon.errors import ConfigError
from aemon.lifecycle.cold_start import needed_for
from aemon.records import Job
from aemon.rules.rule_files import rule_groups
from aemon.web.access import exposure, load_access
from tests.config.random_configurations import made, settings_within

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCES = {
    "sql": {"url": "sqlite:///plant.db", "table": "readings", "time": "ts", "key": "id"},
    "csv": {"path": "plant.csv", "time": "ts"},
    "host": {},
}
RECEIVER = {"kind": "webhook", "url": "https://example.org/x"}
PLACES = list(settings_within(Config))
WEB = {
    "basic_auth_users": {"one": "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"},
    "bearer_tokens": {"two": f"sha256:{64 * '0'}"},
    "permissions": {"two": "[read]"},
    "rate_limit": {"interval": "1s", "burst": "20"},
}
WEB_PLACES = list(settings_within(WebSettings))


@pytest.fixture
def folder(tmp_path):
    """Where the references of random configurations lead."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x80")
    (tmp_path / "nul").write_bytes(b"a\0b")
    (tmp_path / "large").write_bytes(b"x" * 1_100_000)
    return tmp_path


def use(monitor: MonitorSettings) -> None:
    """What a daemon reckons with the settings of a monitor."""
    zone = ZoneInfo(monitor.timezone)
    monitor.late_after(NOW)
    monitor.old_age(NOW)
    monitor.stale_age(NOW)
    monitor.usual_pause(NOW)
    monitor.pause(Job.TRAIN, NOW)
    needed_for(3, monitor)
    trigger = trigger_of(monitor.score_every, zone, monitor.jitter)
    assert trigger._trigger.get_next_fire_time(NOW, NOW) > datetime.min.replace(tzinfo=UTC)
    for age in (monitor.lateness, monitor.quiet.window, monitor.life.trial_longest, monitor.grace):
        assert age is None or NOW - age < NOW < NOW + age
    assert monitor.learning.fingerprint


def check(number: int, folder) -> bool:
    """Load one; return whether it was taken."""
    kind = list(SOURCES)[number % len(SOURCES)]
    monitor = {"source": {"kind": kind, **SOURCES[kind]}, "score_every": "30s"}
    path = folder / "aemon.yaml"
    base = {"notify": {"one": RECEIVER}, "monitors": {"one": monitor}}
    path.write_bytes(made(number, base, PLACES))
    began = time.process_time()
    try:
        config = load_config(path, {})
        for one in config.monitors.values():
            use(one)
        rule_groups(config, NOW)
        told, taken = "", True
    except ConfigError as error:
        told, taken = str(error), False
    assert taken or (str(path) in told and len(told) < 5000), told
    assert time.process_time() - began < 5
    return taken


def check_web(number: int, folder) -> bool:
    path = folder / "web.yml"
    path.write_bytes(made(number, WEB, WEB_PLACES))
    try:
        access = load_access(path)
        access.bucket.allows()
        exposure(access.settings, "0.0.0.0")
        told, taken = "", True
    except ConfigError as error:
        told, taken = str(error), False
    assert taken or str(path) in told, told
    return taken


def check_all(check, folder, numbers) -> None:
    taken = 0
    for number in numbers:
        try:
            taken += check(number, folder)
        except BaseException as error:
            error.add_note(f"configuration {number}")
            raise
    assert 0.05 < taken / len(numbers) < 0.8, "neither all are refused nor all taken"


@pytest.mark.parametrize("batch", range(4))
def test_a_random_configuration_is_taken_and_works_or_is_refused(folder, batch):
    check_all(check, folder, range(500 * batch, 500 * (batch + 1)))


def test_a_random_web_configuration_is_taken_or_is_refused(folder):
    check_all(check_web, folder, range(500))


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(10))
def test_many_random_configurations(folder, batch):
    check_all(check, folder, range(2_000 * (batch + 1), 2_000 * (batch + 2)))
    check_all(check_web, folder, range(500 * (batch + 1), 500 * (batch + 2)))
