"""Leases: which replica watches which monitor, so that several daemons share one store.

All times are the database's, so that hosts whose clocks differ agree; on SQLite, where all are on
one host, they are that host's. A lease's token grows with every change of hands: whoever writes
for a monitor shows its token in the same transaction, and one that was overtaken writes nothing.
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

REMEMBERED = timedelta(days=1)  # a replica that was not seen for so long is forgotten
SILENT_LEASES = 10  # who said nothing for so many leases is dead, whatever its lease says
NOBODY = ""

Gone = Callable[[str], bool]
"""Whether a replica of this name surely lives no more; if in doubt, it does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """A daemon as the others see it."""

    name: str
    address: str  # host:port of its metrics
    version: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a replica holds after it said that it lives.

    Attributes:
        tokens: monitor -> token.
        excess: of those, what it should give back once their runs have ended.
        live: replicas that live, this one included.
    """

    tokens: Mapping[str, int]
    excess: Sequence[str]
    live: int


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a replica itself knows at a beat.

    Attributes:
        known: monitor -> token, of what it held until now; None at its first beat. Leases in its
            name are those of another daemon then, that was called so before: it takes them.
        gone: tells of holders that need not be waited for.
        busy: monitors with a run in hand; others are given back before them.
    """

    known: Mapping[str, int] | None
    gone: Gone = lambda _name: False
    busy: Collection[str] = ()


def hold(
    store: Store, me: Replica, names: Collection[str], lease: timedelta, own: Knowledge
) -> Held:
    """Say that a replica lives, renew what it holds, and take what is free, up to its share.

    Args:
        store: where; the monitors have their rows in `monitors`.
        me: the replica.
        names: the monitors it is configured to watch.
        lease: who says nothing for so long lives no more.
        own: what the replica itself knows.

    Raises:
        StoreError: the database fails.
    """
    names, known = set(names), own.known
    with store.writing() as connection:
        now = database_time(connection, store)
        _say_alive(connection, me, now)
        rows = connection.execute(sa.select(leases)).all()
        missing = sorted(names - {row.monitor for row in rows})
        if missing:
            _make(connection, store, missing, now)
            rows = connection.execute(sa.select(leases)).all()
        holders = {row.holder for row in rows} - {NOBODY, me.name}
        # A lease beyond all reason, such as one until the year 9999, holds nobody off.
        silent = holders - _living(connection, now - SILENT_LEASES * lease, now + lease)
        dead = silent | {holder for holder in holders if own.gone(holder)}
        live = (_living(connection, now - lease, now + lease) | {me.name}) - dead
        if known is None:
            dead.add(me.name)
            known = {}
        mine = [row.monitor for row in rows if known.get(row.monitor) == row.token]
        tokens = _renew(connection, me, mine, known, now + lease)
        watched = sorted(names & tokens.keys())
        held = Counter(
            row.holder
            for row in rows
            if row.monitor in names and row.holder in live and row.expires_at > now
        )
        share = share_of(len(names), {**dict.fromkeys(live, 0), **held, me.name: len(watched)}, me)
        free = _free(rows, names - tokens.keys(), {NOBODY, *dead}, me, now)
        wanted = free[: max(0, share - len(watched))]
        taken = _take(connection, me, wanted, dead, now, lease)
        if len(taken) < len(wanted):
            _end_frozen(connection, holders - live, lease)
        tokens |= taken
    surplus = sorted(watched, key=lambda monitor: monitor in own.busy)[
        : max(0, len(watched) - share)
    ]
    strange = [monitor for monitor in tokens if monitor not in names]
    return Held(tokens=tokens, excess=(*strange, *surplus), live=len(live))


def _free(
    rows: Sequence[Any],
    names: Collection[str],
    holders: Collection[str],
    me: Replica,
    now: datetime,
) -> list[str]:
    """Monitors of these names that nobody holds any more, in an order of the replica's own.

    So two replicas seldom reach for the same.
    """
    free = [
        row.monitor
        for row in rows
        if row.monitor in names and (row.holder in holders or row.expires_at <= now)
    ]
    return sorted(free, key=lambda monitor: crc32(f"{me.name} {monitor}".encode()))


def share_of(monitors: int, held: Mapping[str, int], me: Replica) -> int:
    """How many of the monitors a replica may hold; `held` says how many each that lives does.

    Rounded up, but rounded down while another has less than that: so all come to hold as many,
    give or take one.
    """
    least, rest = divmod(monitors, len(held))
    others_lack = any(count < least for name, count in held.items() if name != me.name)
    return least if others_lack else least + bool(rest)


def some_free(store: Store, names: Collection[str]) -> bool:
    """Whether a monitor was given back and not taken yet.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(leases.c.monitor).where(leases.c.holder == NOBODY)
    with store.reading() as connection:
        return any(monitor in names for monitor in connection.execute(query).scalars())


def give_back(store: Store, me: Replica, tokens: Mapping[str, int], *, leave: bool = False) -> None:
    """Let others have these monitors at once; with `leave`, live no more.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        now = database_time(connection, store)
        statement = (
            sa.update(leases)
            .where(
                leases.c.monitor == sa.bindparam("whose"),
                leases.c.token == sa.bindparam("known"),
                leases.c.holder == me.name,
            )
            .values(holder=NOBODY, expires_at=now)
        )
        pairs = [{"whose": monitor, "known": token} for monitor, token in sorted(tokens.items())]
        if pairs:
            connection.execute(statement, pairs)
        if leave:
            connection.execute(sa.delete(replicas).where(replicas.c.name == me.name))


def database_time(connection: sa.Connection, store: Store) -> datetime:
    """Now, by the database's clock; by the store's on SQLite."""
    if connection.dialect.name == "sqlite":
        return store.now()
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def _say_alive(connection: sa.Connection, me: Replica, now: datetime) -> None:
    values = {
        "address": me.address,
        "version": me.version,
        "started_at": me.started_at,
        "seen_at": now,
    }
    mine = sa.update(replicas).where(replicas.c.name == me.name).values(values)
    if not connection.execute(mine).rowcount:
        connection.execute(sa.insert(replicas).values(name=me.name, **values))
        # A time far ahead was noted by a clock that was wrong.
        there = replicas.c.seen_at.between(now - REMEMBERED, now + REMEMBERED)
        connection.execute(sa.delete(replicas).where(~there))


def _living(connection: sa.Connection, since: datetime, until: datetime) -> set[str]:
    seen = sa.select(replicas.c.name).where(replicas.c.seen_at > since, replicas.c.seen_at <= until)
    return set(connection.execute(seen).scalars())


def _make(connection: sa.Connection, store: Store, names: Sequence[str], now: datetime) -> None:
    nobody = {"holder": NOBODY, "token": 0, "taken_at": now, "expires_at": now}
    rows = [{"monitor": name, **nobody} for name in names]
    connection.execute(store.insert_or_ignore(leases), rows)


def _renew(
    connection: sa.Connection,
    me: Replica,
    mine: Sequence[str],
    known: Mapping[str, int],
    until: datetime,
) -> dict[str, int]:
    """Renew leases; those that are still its own, with their tokens."""
    tokens: dict[str, int] = {}
    for some in _pieces(mine):
        own = (leases.c.holder == me.name, leases.c.monitor.in_(some))
        renewed = sa.update(leases).where(*own).values(expires_at=until)
        found = connection.execute(renewed.returning(leases.c.monitor, leases.c.token))
        tokens.update((monitor, token) for monitor, token in found if known[monitor] == token)
    return tokens


def _take(
    connection: sa.Connection,
    me: Replica,
    wanted: Sequence[str],
    dead: Collection[str],
    now: datetime,
    lease: timedelta,
) -> dict[str, int]:
    """Take leases that are free; what another is taking, or writing for, is left to it."""
    tokens: dict[str, int] = {}
    values = {"holder": me.name, "taken_at": now, "expires_at": now + lease}
    free = sa.or_(leases.c.holder.in_([NOBODY, *dead]), leases.c.expires_at <= now)
    for some in _pieces(wanted):
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
    """End the sessions of silent replicas whose server waits for them in the middle of a transaction.

    Such a session holds its lease's row. No timeout ends it where the replica stopped between the
    parts of one statement: the session is not idle then. The row is free at the next beat.
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
    """Who watches a monitor, by the database's clock."""

    monitor: str
    holder: str  # empty if nobody does
    expired: bool

    @property
    def is_held(self) -> bool:
        """Whether somebody who lives watches it."""
        return bool(self.holder) and not self.expired


def lease_rows(store: Store, names: Iterable[str]) -> list[LeaseRow]:
    """Who watches these monitors; those nobody ever has are left out.

    Raises:
        StoreError: the database fails.
    """
    wanted = set(names)
    with store.reading() as connection:
        now = database_time(connection, store)
        rows = connection.execute(sa.select(leases)).all()
    return [
        LeaseRow(monitor=row.monitor, holder=row.holder, expired=row.expires_at <= now)
        for row in rows
        if row.monitor in wanted
    ]


def seen_replicas(store: Store) -> dict[str, tuple[str, str, timedelta]]:
    """Replica -> its address, version, and how far from now it said that it lives.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        now = database_time(connection, store)
        rows = connection.execute(sa.select(replicas)).all()
    return {row.name: (row.address, row.version, abs(now - row.seen_at)) for row in rows}
