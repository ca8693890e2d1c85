"""Leases: which replica watches which monitor, so that several daemons share one store.

All times are read from the clock of the database, so that hosts with different clocks agree. With
SQLite, all daemons run on one host, and the host's clock is used. The token of a lease grows with
every change of holder. A transaction checks the token before it writes, so that a replica that has
lost its lease cannot write.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import sqlalchemy as sa

from aemon.store.engine import session_name
from aemon.store.schema.lifecycle_tables import leases, replicas
from aemon.store.store import KEYS_AT_ONCE, Store

REMEMBERED = timedelta(days=1)  # a replica's row is deleted after this time without a heartbeat
# A replica is dead after this many lease times without a heartbeat, even if its leases last longer.
SILENT_LEASES = 10
NOBODY = ""

Gone = Callable[[str], bool]
"""A function: replica name -> whether the replica is certainly dead; False if in doubt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """A daemon, with the fields that other daemons read."""

    name: str
    address: str  # host:port where the replica exports its metrics
    version: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The leases that a replica holds after its heartbeat.

    Attributes:
        tokens: monitor -> token of the lease.
        excess: held monitors that the replica should release after their runs have ended.
        live: number of live replicas, this replica included.
    """

    tokens: Mapping[str, int]
    excess: Sequence[str]
    live: int


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a replica knows at its heartbeat.

    Attributes:
        known: monitor -> token of the leases that the replica held until now. None at its first
            heartbeat: the replica then takes over the leases of an earlier daemon with its name.
        gone: a function that returns whether a holder is certainly dead.
        busy: monitors with a run in progress; they are released last.
    """

    known: Mapping[str, int] | None
    gone: Gone = lambda _name: False
    busy: Collection[str] = ()


def hold(
    store: Store, me: Replica, names: Collection[str], lease: timedelta, own: Knowledge
) -> Held:
    """Write a replica's heartbeat, renew its leases, and take free leases up to its share.

    Args:
        store: the store; table `monitors` has a row for each monitor.
        me: the replica.
        names: the monitors that the replica is configured to watch.
        lease: the time after which a replica without a heartbeat is not live.
        own: what the replica knows about its leases and about other replicas.

    Raises:
        StoreError: the database fails.
    """
    names, known = set(names), own.known
    with store.writing() as connection:
        now = database_time(connection, store)
        _write_heartbeat(connection, me, now)
        rows = connection.execute(sa.select(leases)).all()
        missing = sorted(names - {row.monitor for row in rows})
        if missing:
            _make(connection, store, missing, now)
            rows = connection.execute(sa.select(leases)).all()
        holders = {row.holder for row in rows} - {NOBODY, me.name}
        # Leases of silent holders are free, even if they end very late, such as in the year 9999.
        silent = holders - _living(connection, now - SILENT_LEASES * lease, now + lease)
        dead = silent | {holder for holder in holders if own.gone(holder)}
        live = (_living(connection, now - lease, now + lease) | {me.name}) - dead
        if known is None:
            dead.add(me.name)
            known = {}
        own_names = [row.monitor for row in rows if known.get(row.monitor) == row.token]
        tokens = _renew(connection, me, own_names, known, now + lease)
        watched = sorted(names & tokens.keys())
        held = Counter(
            row.holder
            for row in rows
            if row.monitor in names and row.holder in live and row.expires_at > now
        )
        share = share_of(len(names), {**dict.fromkeys(live, 0), **held, me.name: len(watched)}, me)
        free = _free(rows, names - tokens.keys(), {NOBODY, *dead}, me, now)
        needed = free[: max(0, share - len(watched))]
        taken = _take(connection, me, needed, dead, now, lease)
        if len(taken) < len(needed):
            _end_frozen(connection, holders - live, lease)
        tokens |= taken
    surplus = sorted(watched, key=lambda monitor: monitor in own.busy)[
        : max(0, len(watched) - share)
    ]
    unconfigured = [monitor for monitor in tokens if monitor not in names]
    return Held(tokens=tokens, excess=(*unconfigured, *surplus), live=len(live))


def _free(
    rows: Sequence[Any],
    names: Collection[str],
    holders: Collection[str],
    me: Replica,
    now: datetime,
) -> list[str]:
    """Return the monitors of `names` without a live holder, sorted by a hash.

    The hash of the monitor's name and this replica's name gives each replica a different order, so
    that two replicas rarely try to take the same lease.
    """
    free = [
        row.monitor
        for row in rows
        if row.monitor in names and (row.holder in holders or row.expires_at <= now)
    ]
    return sorted(free, key=lambda monitor: crc32(f"{me.name} {monitor}".encode()))


def share_of(monitors: int, held: Mapping[str, int], me: Replica) -> int:
    """Return how many monitors a replica may hold.

    The share is the number of monitors divided by the number of replicas, rounded up. While another
    replica holds fewer monitors than the rounded-down share, the share is rounded down. In the end,
    the numbers of any two replicas differ by at most one.

    Args:
        monitors: number of configured monitors.
        held: live replica -> number of monitors that it holds; includes `me`.
        me: the replica.
    """
    least, rest = divmod(monitors, len(held))
    others_lack = any(count < least for name, count in held.items() if name != me.name)
    return least if others_lack else least + bool(rest)


def some_free(store: Store, names: Collection[str]) -> bool:
    """Return whether one of these monitors was released by a replica and has no new holder.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(leases.c.monitor).where(leases.c.holder == NOBODY)
    with store.reading() as connection:
        return any(monitor in names for monitor in connection.execute(query).scalars())


def give_back(store: Store, me: Replica, tokens: Mapping[str, int], *, leave: bool = False) -> None:
    """Release the leases of these monitors at once.

    Args:
        store: the store.
        me: the replica that holds the leases.
        tokens: monitor -> token of the lease.
        leave: True to delete the replica's heartbeat, too.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        now = database_time(connection, store)
        statement = (
            sa.update(leases)
            .where(
                leases.c.monitor == sa.bindparam("of_monitor"),
                leases.c.token == sa.bindparam("known"),
                leases.c.holder == me.name,
            )
            .values(holder=NOBODY, expires_at=now)
        )
        pairs = [
            {"of_monitor": monitor, "known": token} for monitor, token in sorted(tokens.items())
        ]
        if pairs:
            connection.execute(statement, pairs)
        if leave:
            connection.execute(sa.delete(replicas).where(replicas.c.name == me.name))


def database_time(connection: sa.Connection, store: Store) -> datetime:
    """Return the time of the database's clock, in UTC; with SQLite, of the store's clock."""
    if connection.dialect.name == "sqlite":
        return store.now()
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def _write_heartbeat(connection: sa.Connection, me: Replica, now: datetime) -> None:
    values = {
        "address": me.address,
        "version": me.version,
        "started_at": me.started_at,
        "seen_at": now,
    }
    update = sa.update(replicas).where(replicas.c.name == me.name).values(values)
    if not connection.execute(update).rowcount:
        connection.execute(sa.insert(replicas).values(name=me.name, **values))
        # A heartbeat far in the future was written while a clock was wrong.
        recent = replicas.c.seen_at.between(now - REMEMBERED, now + REMEMBERED)
        connection.execute(sa.delete(replicas).where(~recent))


def _living(connection: sa.Connection, since: datetime, until: datetime) -> set[str]:
    seen = sa.select(replicas.c.name).where(replicas.c.seen_at > since, replicas.c.seen_at <= until)
    return set(connection.execute(seen).scalars())


def _make(connection: sa.Connection, store: Store, names: Sequence[str], now: datetime) -> None:
    free = {"holder": NOBODY, "token": 0, "taken_at": now, "expires_at": now}
    rows = [{"monitor": name, **free} for name in names]
    connection.execute(store.insert_or_ignore(leases), rows)


def _renew(
    connection: sa.Connection,
    me: Replica,
    names: Sequence[str],
    known: Mapping[str, int],
    until: datetime,
) -> dict[str, int]:
    """Renew leases of a replica; return monitor -> token of each lease that was not lost."""
    tokens: dict[str, int] = {}
    for some in _pieces(names):
        own = (leases.c.holder == me.name, leases.c.monitor.in_(some))
        renewed = sa.update(leases).where(*own).values(expires_at=until)
        found = connection.execute(renewed.returning(leases.c.monitor, leases.c.token))
        tokens.update((monitor, token) for monitor, token in found if known[monitor] == token)
    return tokens


def _take(
    connection: sa.Connection,
    me: Replica,
    needed: Sequence[str],
    dead: Collection[str],
    now: datetime,
    lease: timedelta,
) -> dict[str, int]:
    """Take free leases; return monitor -> token. Skip leases that another transaction has locked.

    A transaction locks a lease while it takes the lease, or while it writes for the monitor.
    """
    tokens: dict[str, int] = {}
    values = {"holder": me.name, "taken_at": now, "expires_at": now + lease}
    free = sa.or_(leases.c.holder.in_([NOBODY, *dead]), leases.c.expires_at <= now)
    for some in _pieces(needed):
        query = sa.select(leases.c.monitor).where(leases.c.monitor.in_(some), free)
        locked = connection.execute(query.with_for_update(skip_locked=True)).scalars().all()
        taken = (
            sa.update(leases)
            .where(leases.c.monitor.in_(locked))
            .values(**values, token=leases.c.token + 1)
            .returning(leases.c.monitor, leases.c.token)
        )
        tokens.update((monitor, token) for monitor, token in connection.execute(taken))
    return tokens


def _end_frozen(connection: sa.Connection, silent: Collection[str], lease: timedelta) -> None:
    """End PostgreSQL sessions of silent replicas that stopped in the middle of a transaction.

    The transaction locks the row of a lease. No timeout ends the session if the replica stopped
    between the parts of one statement, because the session is then not idle. After the end of the
    session, this replica can take the lease at its next heartbeat.
    """
    if connection.dialect.name != "postgresql" or not silent:
        return
    connection.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user"
            " AND application_name = ANY(:names) AND xact_start IS NOT NULL"
            " AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - CAST(:age AS interval)"
        ),
        {"names": [session_name(name) for name in silent], "age": lease / 2},
    )


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), KEYS_AT_ONCE):
        yield names[start : start + KEYS_AT_ONCE]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseRow:
    """The holder of a monitor's lease, and whether the lease has expired."""

    monitor: str
    holder: str  # name of the replica; empty if no replica holds the lease
    expired: bool  # by the clock of the database

    @property
    def is_held(self) -> bool:
        """Whether a live replica watches the monitor."""
        return bool(self.holder) and not self.expired


def lease_rows(store: Store, names: Iterable[str]) -> list[LeaseRow]:
    """Return the leases of the named monitors; leave out monitors that never had a lease.

    Raises:
        StoreError: the database fails.
    """
    needed = set(names)
    with store.reading() as connection:
        now = database_time(connection, store)
        rows = connection.execute(sa.select(leases)).all()
    return [
        LeaseRow(monitor=row.monitor, holder=row.holder, expired=row.expires_at <= now)
        for row in rows
        if row.monitor in needed
    ]


def seen_replicas(store: Store) -> dict[str, tuple[str, str, timedelta]]:
    """Return replica name -> (address, version, age of the last heartbeat).

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        now = database_time(connection, store)
        rows = connection.execute(sa.select(replicas)).all()
    return {row.name: (row.address, row.version, abs(now - row.seen_at)) for row in rows}
