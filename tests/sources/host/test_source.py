import math
import time
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from aemon.clock import utc_now
from aemon.frame import check_frame
from aemon.sources.host import counters
from aemon.sources.host.counters import COLUMNS, read_counters, values_between
from aemon.sources.host.settings import HostSource
from aemon.sources.host.source import Host

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def host():
    """A host whose clock stands still and whose thread was not started."""
    source = Host(HostSource(sample_every=timedelta(days=1)), clock=lambda: NOON)
    yield source
    source.close()


def test_the_thread_takes_records_by_itself():
    source = Host(HostSource(sample_every=timedelta(milliseconds=10)), clock=utc_now)
    tables = []
    deadline = time.monotonic() + 10
    while sum(map(len, tables)) < 3 and time.monotonic() < deadline:
        tables.append(source.take(3).table)
        time.sleep(0.01)
    source.close()
    frame = check_frame(pd.concat(tables, ignore_index=True), source.roles)
    assert len(frame) >= 3
    assert frame.rejected == {}
    assert list(frame.values) == list(COLUMNS)
    assert not source._sampler._thread.is_alive()


def test_the_first_reading_only_prepares_the_rates(host):
    host.close()
    host.take_record()
    assert len(host.take(10).table) == 0
    host.take_record()
    assert len(host.take(10).table) == 1


def test_two_records_never_have_the_same_time(host):
    host.close()
    for _ in range(4):
        host.take_record()
    times = host.take(10).table["time"].tolist()
    assert times == [NOON + timedelta(microseconds=step) for step in range(3)]


def test_a_clock_that_is_set_back_hides_no_record_and_repeats_no_time():
    now = [NOON, NOON - timedelta(hours=1), NOON - timedelta(hours=1)]
    host = Host(HostSource(sample_every=timedelta(days=1)), clock=lambda: now.pop(0))
    host.close()
    for _ in range(4):
        host.take_record()
    times = host.take(10).table["time"].tolist()
    assert times == [NOON + timedelta(microseconds=step) for step in range(3)]


def test_a_reading_that_fails_does_not_end_the_thread(caplog):
    def fail():
        raise OSError("no /proc")

    source = Host(HostSource(sample_every=timedelta(milliseconds=10)), clock=utc_now, read=fail)
    source.take(1)
    deadline = time.monotonic() + 10
    while caplog.text.count("could not be sampled") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    source.close()
    assert caplog.text.count("could not be sampled") >= 2


def test_a_closed_host_does_not_start_again(host):
    host.close()
    assert len(host.take(1).table) == 0
    assert host._sampler._thread is None


def test_shares_and_rates_compare_two_readings():
    earlier = dict.fromkeys(read_counters(), 0.0)
    later = earlier | {
        "cpu_user": 3.0, "cpu_system": 1.0, "cpu_total": 10.0, "disk_read_bytes": 500.0, "load1": 2.0,
    }  # fmt: skip
    values = dict(zip(COLUMNS, values_between(earlier, later, 5.0), strict=True))
    assert values["cpu_user_percent"] == 30
    assert values["cpu_system_percent"] == 10
    assert values["disk_read_bytes_per_second"] == 100
    assert values["load1"] == 2


def test_a_counter_that_was_reset_tells_no_rate():
    later = dict.fromkeys(read_counters(), 0.0)
    values = values_between(later | {"context_switches": 5.0}, later, 1.0)
    assert math.isnan(values[COLUMNS.index("context_switches_per_second")])


def test_what_a_container_does_not_tell_is_missing(monkeypatch):
    silent = counters._Reading(lambda: None, {"disk_read_bytes": lambda answer: answer.read_bytes})
    monkeypatch.setattr(counters, "_READINGS", (silent, *counters._READINGS[:1]))
    now = read_counters()
    assert math.isnan(now["disk_read_bytes"])
    assert now["cpu_total"] > 0
