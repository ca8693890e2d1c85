"""Leasing: a daemon is told what to watch, and gives it back between two runs."""

import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.daemon import leasing
from aemon.daemon.leasing import Leasing, Watch, is_gone, own_name
from aemon.metrics.metrics import Metrics
from aemon.sources.host.settings import HostSource
from aemon.store.engine import open_engine
from aemon.store.episode_queries import acknowledge
from aemon.store.leases import Replica, lease_rows
from aemon.store.schema.tables import episodes
from aemon.store.store import Store

LEASE = timedelta(seconds=1.5)
NAMES = ("fans", "pumps")


class Daemon:
    """The rest of a daemon: what it was told, and whether a run is in hand."""

    def __init__(self, url: str, name: str) -> None:
        self.watched: dict[str, int] = {}
        self.running: set[str] = set()
        self.metrics = Metrics(CollectorRegistry())
        me = Replica(name=name, address="127.0.0.1:1", version="0.1.0", started_at=utc_now())
        self.leasing = Leasing(
            Store(open_engine(url), utc_now), me, LEASE, self.metrics,
            Watch(
                on_won=lambda monitor, fence: self.watched.__setitem__(monitor, fence.token),
                on_lost=self.watched.pop,
                running=lambda monitor: monitor in self.running,
            ),
        )  # fmt: skip

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def wait(done, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def daemons(store, store_url):
    store.add_monitors(NAMES)
    pair = Daemon(store_url, "one"), Daemon(store_url, "other")
    yield pair
    for daemon in pair:
        daemon.leasing.stop(5)


def test_one_daemon_is_told_all_its_monitors_before_it_goes_on(daemons):
    one, _ = daemons
    one.leasing.start(NAMES)
    assert one.watched == dict.fromkeys(NAMES, 1)
    assert one.metric("aemon_lease_held", monitor="pumps") == 1
    assert one.metric("aemon_replicas_live") == 1


def test_a_monitor_is_given_back_when_its_run_has_ended(daemons, store):
    one, other = daemons
    one.leasing.start(NAMES)
    one.running = {*NAMES}
    other.leasing.start(NAMES)
    # Given one that has given up a monitor while a run of it is in hand
    wait(lambda: len(one.watched) == 1)
    given = (set(NAMES) - one.watched.keys()).pop()
    assert {row.holder for row in lease_rows(store, NAMES)} == {"one"}
    assert other.watched == {}
    # When that has ended, the other takes it within a second or two
    one.running = set()
    wait(lambda: other.watched == {given: 2}, 3)
    assert one.leasing.held == one.watched.keys()
    wait(lambda: one.metric("aemon_lease_held", monitor=given) == 0)
    assert one.metric("aemon_leases_lost_total") == 0, "it was given, not lost"


def test_an_end_in_order_hands_all_over_at_once(daemons):
    one, other = daemons
    one.leasing.start(NAMES)
    other.leasing.start(NAMES)
    wait(lambda: len(other.watched) == 1)
    one.leasing.stop(5)
    wait(lambda: other.watched.keys() == {*NAMES}, 3)


def test_what_is_configured_can_change(daemons, store):
    one, _ = daemons
    one.leasing.start(NAMES)
    store.add_monitors(["valves"])
    one.leasing.watch(["fans", "valves"])
    wait(lambda: one.watched.keys() == {"fans", "valves"}, 3)


def test_a_monitor_dropped_while_a_beat_goes_on_leaves_no_series(daemons, monkeypatch):
    """It would be told for ever as watched by nobody."""
    one, other = daemons
    other.running = {*NAMES}
    other.leasing.start(NAMES)
    real = leasing.hold

    def hold(*given, **named):
        held = real(*given, **named)
        if threading.current_thread() is threading.main_thread():
            one.leasing.watch(["fans"])
        return held

    monkeypatch.setattr(leasing, "hold", hold)
    one.leasing.start(NAMES)
    assert one.metric("aemon_lease_held", monitor="fans") == 0
    assert one.metric("aemon_lease_held", monitor="pumps") is None


def test_what_people_do_is_shown_between_runs(daemons, store):
    """A monitor may run once an hour; whoever took an episode up is not called until then."""
    one, _ = daemons
    one.metrics.add_monitor(
        "pumps", MonitorSettings(source=HostSource(), score_every=timedelta(hours=1))
    )
    now = utc_now()
    row = {
        "monitor": "pumps", "entity": "p1", "state": "open", "severity": "critical",
        "started_at": now, "ended_at": now, "records": 3, "peak_exceedance": 2.0,
        "peak_record_key": "7", "feature": "flow", "blame": {"flow": 3.0},
        "calm_records": 0, "updated_at": now, "opened_at": now,
    }  # fmt: skip
    with store.writing() as connection:
        number = connection.execute(sa.insert(episodes).values(row)).inserted_primary_key[0]
    one.leasing.start(NAMES)
    name = "aemon_episodes_open"
    assert one.metric(name, monitor="pumps", severity="critical") == 1, "and after a restart"
    acknowledge(store, number)
    wait(lambda: one.metric(name, monitor="pumps", severity="critical") == 0)
    assert one.metric("aemon_episodes_acknowledged", monitor="pumps") == 1


def test_a_store_that_is_away_takes_nothing_from_a_daemon(daemons, store, caplog):
    one, _ = daemons
    one.leasing.start(NAMES)
    with store.writing():  # SQLite's writer waits in vain; PostgreSQL's does not
        time.sleep(2 * LEASE.total_seconds())
    time.sleep(LEASE.total_seconds())
    assert one.watched == dict.fromkeys(NAMES, 1)


def test_a_daemon_knows_of_others_in_its_place_whether_they_are_gone():
    name = own_name()
    assert not is_gone(name)
    host, pid, place = name.rsplit(":", 2)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not is_gone(f"{host}:{child.pid}:{place}")
    child.kill()
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(f"{host}:{child.pid}:{place}"), "nobody has asked yet how it ended"
    child.wait()
    assert is_gone(f"{host}:{child.pid}:{place}")
    assert is_gone(f"other-host-name:{pid}:{place}"), "this process is not that one"
    assert not is_gone(f"{host}:{child.pid}:another1"), "of another place nothing is known"
    assert not is_gone("a name of one's own")
