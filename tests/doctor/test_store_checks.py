"""The doctor's looks at a store, in both kinds of database."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.config.schema import Config
from aemon.doctor import monitor_checks, store_checks
from aemon.doctor.finding import Level
from aemon.store.leases import Knowledge, Replica, give_back, hold
from aemon.store.schema.tables import episodes, notifications
from aemon.store.store import Store


@pytest.fixture
def config(store_url) -> Config:
    pumps = {"source": {"kind": "host"}, "score_every": "1s"}
    return Config.model_validate({"store": store_url, "monitors": {"pumps": pumps}})


@pytest.fixture
def live(store) -> Store:
    """The store by the clock of this host, as the command has it."""
    return Store(store.engine, utc_now)


def replica(name: str) -> Replica:
    return Replica(name=name, address="127.0.0.1:1", version="0.1.0", started_at=utc_now())


def test_a_store_that_is_well(live, config):
    assert store_checks.tables(live, config).level is Level.OK
    assert store_checks.writable(live, config).level is Level.OK
    assert store_checks.clocks(live, config).level is Level.OK
    assert next(iter(store_checks.space(live, config))).check == "space"
    assert [one.level for one in monitor_checks.runs(live, config)] == [Level.OK]
    with live.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM monitors").scalars().all()
    assert names == ["pumps"], "the look whether it can be written left nothing"


def test_it_tells_who_watches(live, config):
    (nobody,) = store_checks.watched(live, config)
    assert (nobody.level, nobody.what) == (Level.WARNING, "no replica watches pumps")
    me = replica("one")
    held = hold(live, me, ["pumps"], timedelta(seconds=30), Knowledge(known=None))
    (watched,) = store_checks.watched(live, config)
    assert (watched.level, watched.what) == (Level.OK, "all monitors are watched, by 1 replica")
    # A replica that lives and holds nothing has another configuration, or cannot write
    give_back(live, me, held.tokens)
    (left,) = store_checks.watched(live, config)
    assert left.level is Level.ERROR
    assert "no replica watches pumps; live replicas: 1" in left.what


@pytest.mark.postgresql
def test_a_clock_that_is_far_from_the_databases(live, config, store_url):
    if store_url.startswith("sqlite"):
        return  # its clock is this host's
    late = Store(live.engine, lambda: utc_now() - timedelta(minutes=5.5))
    found = store_checks.clocks(late, config)
    assert found.level is Level.WARNING
    assert found.what.startswith("the database's clock is 5m ahead of this host's")
    assert "NTP" in found.todo


def test_it_tells_of_dead_letters_and_of_receivers_that_fail(live, config):
    receivers = {name: {"kind": "slack", "url": "https://x.example/s3cret"} for name in ("a", "b")}
    config = Config.model_validate({**config.model_dump(), "store": "x", "notify": receivers})
    assert [one.level for one in store_checks.notifications(live, config)] == [Level.OK] * 2
    now = utc_now()
    episode = {
        "id": 41, "monitor": "pumps", "entity": "", "state": "closed", "severity": "warning",
        "started_at": now, "ended_at": now, "records": 3, "peak_exceedance": 2.0,
        "peak_record_key": "7", "feature": "flow", "blame": {}, "calm_records": 0,
        "updated_at": now, "opened_at": now,
    }  # fmt: skip
    row = {"monitor": "pumps", "episode_id": 41, "event": "opened", "severity": "warning",
           "created_at": now, "due_at": now}  # fmt: skip
    with live.writing() as connection:
        connection.execute(sa.insert(episodes).values(episode))
        for name, state in (("a", "waiting"), ("b", "dead")):
            told = {"receiver": name, "state": state, "last_error": f"HTTP 50{len(state)}"}
            connection.execute(sa.insert(notifications).values({**row, **told}))
    failing, well, dead = store_checks.notifications(live, config)
    assert (failing.level, well.level, dead.level) == (Level.WARNING, Level.OK, Level.WARNING)
    assert failing.what == "a does not accept notifications: HTTP 507"
    assert failing.todo == "aemon notify test a"
    assert dead.what == "there are dead letters, the newest for b: HTTP 504"
    assert "aemon notify retry --all" in dead.todo
    # What waits for who hears of its monitor no more is nobody's fault
    receivers["a"]["monitors"] = []
    config = Config.model_validate({**config.model_dump(), "store": "x", "notify": receivers})
    assert next(iter(store_checks.notifications(live, config))).level is Level.OK
