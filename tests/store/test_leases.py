"""Leases: monitors are shared, change hands in order, and whoever was overtaken writes nothing."""

import time
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.records import Watermark
from aemon.store.detectors import NewDetector, save_detector
from aemon.store.engine import open_engine, session_name
from aemon.store.fences import Fence, LostLeaseError, fenced
from aemon.store.leases import (
    Knowledge,
    Replica,
    give_back,
    hold,
    lease_rows,
    seen_replicas,
    share_of,
    some_free,
)
from aemon.store.schema.lifecycle_tables import leases, replicas
from aemon.store.store import Mark, Store
from aemon.store.verdicts import VerdictRows, settle
from tests.saving import save_all

LEASE = timedelta(seconds=30)
NAMES = ("compressors", "fans", "pumps", "valves")


@pytest.fixture
def store(store):
    store.add_monitors(NAMES)
    return store


def replica(name: str, clock) -> Replica:
    return Replica(name=name, address="127.0.0.1:9464", version="0.1.0", started_at=clock())


class Daemon:
    """What a daemon remembers from beat to beat."""

    def __init__(self, store, clock, name: str) -> None:
        self.store = store
        self.me = replica(name, clock)
        self.tokens: dict[str, int] | None = None

    def beat(self, names=NAMES, **more):
        held = hold(self.store, self.me, names, LEASE, Knowledge(known=self.tokens, **more))
        self.tokens = dict(held.tokens)
        return held

    def give(self, names) -> None:
        give_back(self.store, self.me, {name: self.tokens.pop(name) for name in names})

    def fence(self, monitor: str) -> Fence:
        return Fence(monitor=monitor, holder=self.me.name, token=self.tokens[monitor], lease=LEASE)


def let_pass(store, clock, time: timedelta, *, of: str) -> None:
    """So much time passes for one replica, whatever the database's clock."""
    with store.writing() as connection:
        for table, column, name in (
            (replicas, "seen_at", "name"),
            (leases, "expires_at", "holder"),
        ):
            rows = connection.execute(sa.select(table).where(table.c[name] == of)).mappings().all()
            key = table.primary_key.columns.values()[0].name
            for row in rows:
                connection.execute(
                    sa.update(table)
                    .where(table.c[key] == row[key])
                    .values({column: row[column] - time})
                )


def test_one_daemon_holds_all_at_once(store, clock):
    one = Daemon(store, clock, "one")
    held = one.beat()
    assert held.tokens == dict.fromkeys(NAMES, 1)
    assert (held.live, held.excess) == (1, ())
    assert one.beat().tokens == held.tokens, "a beat renews, and changes no hands"


def test_a_second_one_gets_its_share_when_the_first_gives_it_back(store, clock):
    one, other = Daemon(store, clock, "one"), Daemon(store, clock, "other")
    one.beat()
    # When another joins, it finds nothing that is free
    assert other.beat().tokens == {}
    assert not some_free(store, NAMES)
    # Then the first one is told what to give, idle monitors first
    held = one.beat(busy={"compressors", "fans"})
    assert held.live == 2
    assert set(held.excess) == {"pumps", "valves"}
    one.give(held.excess)
    assert some_free(store, NAMES)
    # And the other takes that, under new tokens
    assert one.beat().tokens.keys() == {"compressors", "fans"}
    assert other.beat().tokens == {"pumps": 2, "valves": 2}


def test_a_replica_that_is_silent_for_a_lease_loses_its_monitors(store, clock):
    one, other = Daemon(store, clock, "one"), Daemon(store, clock, "other")
    one.beat()
    other.beat()
    let_pass(store, clock, LEASE - timedelta(seconds=5), of="one")
    assert other.beat().tokens == {}
    let_pass(store, clock, timedelta(seconds=5), of="one")
    assert other.beat().tokens == dict.fromkeys(NAMES, 2)
    # And hears of it when it is back
    assert one.beat().tokens == {}


def test_a_lease_that_ran_out_and_nobody_took_is_renewed(store, clock):
    """As after an outage of the store, which nobody could write to meanwhile."""
    one = Daemon(store, clock, "one")
    before = one.beat().tokens
    let_pass(store, clock, 3 * LEASE, of="one")
    assert one.beat().tokens == before


def test_one_that_is_surely_gone_need_not_be_waited_for(store, clock):
    Daemon(store, clock, "one").beat()
    held = Daemon(store, clock, "other").beat(gone=lambda name: name == "one")
    assert held.tokens == dict.fromkeys(NAMES, 2)


def test_a_daemon_with_the_name_of_one_before_it_begins_at_once_and_fences_that(store, clock):
    before, after = Daemon(store, clock, "one"), Daemon(store, clock, "one")
    before.beat()
    assert after.beat().tokens == dict.fromkeys(NAMES, 2)
    assert before.beat().tokens == {}
    assert after.beat().tokens == dict.fromkeys(NAMES, 2)


def test_what_is_not_configured_here_is_left_to_others_and_given_back(store, clock):
    one, other = Daemon(store, clock, "one"), Daemon(store, clock, "other")
    one.beat()
    held = one.beat(["fans", "pumps"])
    assert set(held.excess) == {"compressors", "valves"}
    one.give(held.excess)
    assert other.beat(["valves"]).tokens.keys() == {"valves"}


def test_a_graceful_end_leaves_nothing(store, clock):
    one = Daemon(store, clock, "one")
    one.beat()
    give_back(store, one.me, one.tokens, leave=True)
    assert seen_replicas(store) == {}
    assert {(row.holder, row.expired) for row in lease_rows(store, NAMES)} == {("", True)}


def test_one_that_was_overtaken_gives_back_nothing_of_the_new_holder(store, clock):
    one, other = Daemon(store, clock, "one"), Daemon(store, clock, "other")
    one.beat()
    let_pass(store, clock, LEASE, of="one")
    other.beat()
    give_back(store, one.me, one.tokens, leave=True)
    assert {row.holder for row in lease_rows(store, NAMES)} == {"other"}


@pytest.mark.parametrize(
    ("monitors", "held", "share"),
    [
        (4, {"me": 4}, 4),
        (5, {"me": 0, "b": 0}, 2),
        (5, {"me": 2, "b": 2}, 3),
        (4, {"me": 2, "b": 2, "c": 0}, 1),  # rounded down, while another lacks its own
        (4, {"me": 0, "b": 2, "c": 2}, 2),
        (1, {"me": 0, "b": 1}, 1),
        (0, {"me": 0}, 0),
    ],
)
def test_shares_are_even(clock, monitors, held, share):
    assert share_of(monitors, held, replica("me", clock)) == share


def test_many_replicas_end_with_even_shares(store, clock):
    several = [Daemon(store, clock, name) for name in "abc"]
    for _ in range(4):
        for one in several:
            one.give(one.beat().excess)
    held = [one.beat().tokens for one in several]
    assert sorted(map(len, held)) == [1, 1, 2]
    assert sorted(name for tokens in held for name in tokens) == sorted(NAMES)


def test_an_overtaken_writer_writes_nothing(store, clock):
    one = Daemon(store, clock, "one")
    one.beat()
    fence = one.fence("pumps")
    with fenced(store, fence).writing(), fenced(store, None).reading():
        pass  # as long as it holds
    let_pass(store, clock, LEASE, of="one")
    Daemon(store, clock, "other").beat()
    to = Watermark(event_time=clock(), record_key="1", position=None)
    nothing = VerdictRows(scores={name: [] for name in ("record_key", "entity", "event_time")})
    with pytest.raises(LostLeaseError, match="pumps: another replica"):
        save_all(fenced(store, fence), "pumps", nothing, Mark(), to)
    with pytest.raises(LostLeaseError):
        settle(fenced(store, fence), "pumps", Mark(watermark=to, generation=1), to, 1.0)
    new = NewDetector(artifact=b"", columns={}, threshold={})
    with pytest.raises(LostLeaseError):
        save_detector(fenced(store, fence), "pumps", new)
    assert store.mark("pumps") == Mark()


@pytest.mark.postgresql
def test_a_commit_in_hand_keeps_the_lease_and_hinders_no_beat(postgres_url, clock):
    from aemon.store.schema import revisions

    engine = open_engine(postgres_url)
    revisions.prepare(engine)
    store = Store(engine, clock)
    store.add_monitors(NAMES)
    one, other = Daemon(store, clock, "one"), Daemon(store, clock, "other")
    one.beat()
    let_pass(store, clock, LEASE, of="one")
    # Given a commit in hand under a lease that has just run out
    with fenced(store, one.fence("pumps")).writing():
        # When another takes what is free, that one monitor is left out
        assert other.beat().tokens.keys() == set(NAMES) - {"pumps"}
        # And the holder's own beat does not wait for the commit
        assert one.beat().tokens == {"pumps": 1}
    store.close()


@pytest.mark.parametrize("seen", ["2026-02-01 00:00:00.000000", "9999-12-29 00:00:00.000000"])
def test_a_lease_until_the_year_9999_unwatches_nobody(store, clock, seen):
    gone = Daemon(store, clock, "gone")
    gone.beat()
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE leases SET expires_at = '9999-12-29 00:00:00.000000'"))
        connection.execute(sa.text("UPDATE replicas SET seen_at = :seen"), {"seen": seen})
    assert set(Daemon(store, clock, "here").beat().tokens) == set(NAMES)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)  # the others have their own clock
@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=400)])
@pytest.mark.parametrize("corrected", [False, True])
def test_a_daemon_that_died_is_followed_within_a_lease_whatever_the_clock_was_set_to(
    store, clock, step, corrected
):
    gone, here = Daemon(store, clock, "gone"), Daemon(store, clock, "here")
    gone.beat()
    here.beat()
    clock.forward(step)
    gone.beat()  # its last
    if corrected:
        clock.forward(-step)
    for _ in range(4):
        clock.forward(LEASE / 3)
        held = here.beat()
    assert (set(held.tokens), held.live) == (set(NAMES), 1)
    Daemon(store, clock, "later").beat()
    far = corrected and step > timedelta(days=1)
    assert ("gone" in seen_replicas(store)) != far  # nobody remembers it for 400 days


@pytest.mark.postgresql
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", ["pipeline", "copy"])
def test_a_replica_that_stops_in_the_middle_of_a_statement_is_followed(
    store, store_url, clock, how
):
    """Given a session that waits for the rest of what was begun, and holds a lease's row."""
    import psycopg

    short, one = timedelta(milliseconds=600), replica("one", clock)
    hold(store, one, NAMES, short, Knowledge(known=None))
    with closing(psycopg.connect(store_url, application_name=session_name("one"))) as frozen:
        frozen.execute("SELECT token FROM leases WHERE monitor = 'pumps' FOR KEY SHARE")
        if how == "pipeline":
            frozen.pgconn.enter_pipeline_mode()
            insert = b"INSERT INTO monitors VALUES ('x', now())"
            frozen.pgconn.send_query_params(insert, None)
            frozen.pgconn.send_flush_request()
        else:
            frozen.pgconn.send_query(b"COPY monitors FROM STDIN")
        frozen.pgconn.flush()
        other, known = replica("other", clock), {}
        deadline = time.monotonic() + 20
        while set(known) != set(NAMES):
            assert time.monotonic() < deadline, known
            time.sleep(0.1)
            known = hold(store, other, NAMES, short, Knowledge(known=known)).tokens
