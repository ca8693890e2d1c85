"""What becomes of a notification: who takes it to be sent, and how that went; backlogs, told once."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from aemon.message import Event
from aemon.records import EpisodeState, Severity
from aemon.store.episodes import is_news
from aemon.store.outbox import Notification, NotificationState, Rules
from aemon.store.schema.tables import episodes, notifications, receivers
from aemon.store.store import Row, Store

FEW = 3
"""So many episodes of a backlog are told one by one; more of them together."""


def known_since(store: Store, receiver: str) -> datetime:
    """Since when a receiver is told of episodes: from now on, if it is new.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(receivers.c.known_at).where(receivers.c.name == receiver)
    with store.reading() as connection:
        known: datetime | None = connection.execute(query).scalar()
    if known is not None:
        return known
    with store.writing() as connection:
        row = {"name": receiver, "known_at": store.now()}
        connection.execute(store.insert_or_ignore(receivers), row)
        found: datetime = connection.execute(query).scalar_one()
        return found


def claim(store: Store, one: Notification, until: datetime) -> bool:
    """Take a notification to be sent; whether it is ours, for another may have been quicker.

    If we die with it in hand, it is tried again at `until`.

    Raises:
        StoreError: the database fails.
    """
    statement = (
        sa.update(notifications)
        .where(
            notifications.c.id == one.id,
            notifications.c.state == NotificationState.WAITING,
            notifications.c.attempts == one.attempts,
        )
        .values(attempts=one.attempts + 1, next_try_at=until)
    )
    with store.writing() as connection:
        return connection.execute(statement).rowcount == 1


def note_sent(store: Store, one: Notification, severity: Severity, status: int | None) -> None:
    """The receiver has it: from now on it waits for the end, of which this severity was told.

    Raises:
        StoreError: the database fails.
    """
    now = store.now()
    values = {
        "state": NotificationState.SENT,
        "severity": severity,
        "next_try_at": None,
        "sent_at": now,
        "status": status,
        "last_error": "",
    }
    with store.writing() as connection:
        mine = sa.update(notifications).where(notifications.c.id == one.id)
        connection.execute(mine.values(values))
        if one.event == Event.OPENED:
            end = {
                "monitor": one.monitor,
                "episode_id": one.episode_id,
                "receiver": one.receiver,
                "event": Event.RESOLVED,
                "state": NotificationState.EXPECTED,
                "severity": severity,
                "created_at": now,
            }
            connection.execute(store.insert_or_ignore(notifications), end)
        elif one.event == Event.ESCALATED:
            end_of_it = (
                notifications.c.episode_id == one.episode_id,
                notifications.c.receiver == one.receiver,
                notifications.c.event == Event.RESOLVED,
            )
            connection.execute(sa.update(notifications).where(*end_of_it).values(severity=severity))


def note_failed(
    store: Store, one: Notification, error: str, status: int | None, again_at: datetime | None
) -> None:
    """It was not taken: it is tried again at a time, or is dead.

    Unless it has been taken up by another meanwhile, for we were long away.

    Raises:
        StoreError: the database fails.
    """
    state = NotificationState.WAITING if again_at else NotificationState.DEAD
    values = {"state": state, "next_try_at": again_at, "status": status, "last_error": error}
    mine = sa.and_(
        notifications.c.id == one.id,
        notifications.c.state == NotificationState.WAITING,
        notifications.c.attempts == one.attempts + 1,
    )
    with store.writing() as connection:
        connection.execute(sa.update(notifications).where(mine).values(values))


def listed(
    store: Store,
    *,
    states: Collection[NotificationState] | None = None,
    receiver: str | None = None,
    limit: int = 20,
) -> list[Notification]:
    """The newest notifications, newest first; the expected ones only if asked for.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(notifications.c[name] for name in Notification.__slots__))
        .order_by(notifications.c.id.desc())
        .limit(limit)
    )
    if states is None:
        query = query.where(notifications.c.state != NotificationState.EXPECTED)
    else:
        query = query.where(notifications.c.state.in_(states))
    if receiver is not None:
        query = query.where(notifications.c.receiver == receiver)
    with store.reading() as connection:
        return [Notification(**row) for row in connection.execute(query).mappings()]


def try_again(store: Store, number: int | None = None) -> int:
    """Let a dead or waiting notification be sent at once, or all dead ones; how many there were.

    Raises:
        StoreError: the database fails.
    """
    now = store.now()
    dead = notifications.c.state == NotificationState.DEAD
    which = (
        dead
        if number is None
        else sa.and_(
            notifications.c.id == number,
            sa.or_(dead, notifications.c.state == NotificationState.WAITING),
        )
    )
    values = {
        "state": NotificationState.WAITING,
        "due_at": now,
        "next_try_at": now,
    }
    with store.writing() as connection:
        return connection.execute(sa.update(notifications).where(which).values(values)).rowcount


def plan_backlogs(store: Store, rules: Rules, monitors: Collection[str]) -> None:
    """Write down what is to be told of episodes that were over long before they were found.

    A few are told as others are. More of them, or any older than what is told, are one summary for
    each monitor, which waits until the monitor has caught up with its source.

    Raises:
        StoreError: the database fails.
    """
    found: dict[str, list[Row]] = defaultdict(list)
    with store.reading() as connection:
        for row in _of_backlogs(connection, rules, rules.since):
            if row["monitor"] in monitors:
                found[row["monitor"]].append(row)
    now = store.now()
    waiting = {"receiver": rules.receiver, "state": NotificationState.WAITING}
    due = {"due_at": now, "next_try_at": now}
    rows = [
        {**row, **waiting, **due}
        for monitor, theirs in found.items()
        for row in _told_of(monitor, theirs, rules)
    ]
    if rows:
        with store.writing() as connection:
            connection.execute(store.insert_or_ignore(notifications), rows)


def summed_up(store: Store, rules: Rules, one: Notification) -> list[Row]:
    """The episodes that the summary of a backlog tells of, the newest last.

    Raises:
        StoreError: the database fails.
    """
    earlier = sa.select(sa.func.max(notifications.c.created_at)).where(
        notifications.c.monitor == one.monitor,
        notifications.c.receiver == one.receiver,
        notifications.c.event == Event.BACKLOG,
        notifications.c.created_at < one.created_at,
    )
    known = sa.select(receivers.c.known_at).where(receivers.c.name == one.receiver)
    with store.reading() as connection:
        told = connection.execute(earlier).scalar()
        since = told or connection.execute(known).scalar() or one.created_at
        rows = [*_of_backlogs(connection, rules, since, covered=True)]
    mine = [
        row
        for row in rows
        if row["monitor"] == one.monitor
        and row["opened_at"] <= one.created_at
        and (told is None or row["opened_at"] > told)
    ]
    return sorted(mine, key=lambda row: row["ended_at"])


def _of_backlogs(
    connection: sa.Connection, rules: Rules, since: datetime, *, covered: bool = False
) -> Iterator[Row]:
    """The untold episodes of backlogs that were found since then; also those of earlier summaries."""
    theirs = sa.and_(
        notifications.c.episode_id == episodes.c.id,
        notifications.c.receiver == rules.receiver,
        notifications.c.event == Event.OPENED,
    )
    told = (
        sa.select(notifications.c.monitor, sa.func.max(notifications.c.created_at))
        .where(notifications.c.receiver == rules.receiver, notifications.c.event == Event.BACKLOG)
        .group_by(notifications.c.monitor)
    )
    rows = () if covered else connection.execute(told)
    until: dict[str, datetime] = {row[0]: row[1] for row in rows}
    names = (
        "id", "monitor", "severity", "opened_at", "started_at", "ended_at", "records",
        "peak_exceedance", "peak_record_key",
    )  # fmt: skip
    query = sa.select(*(episodes.c[name] for name in names)).where(
        ~sa.exists().where(theirs),
        episodes.c.opened_at >= since,
        episodes.c.state == EpisodeState.CLOSED,
        is_news(),
    )
    for row in connection.execute(query).mappings():
        monitor, found_at = row["monitor"], row["opened_at"]
        of_backlog = rules.is_of_backlog(monitor, found_at, row["ended_at"])
        new = monitor not in until or found_at > until[monitor]
        if of_backlog and new and rules.takes(row["severity"]):
            yield dict(row)


def _told_of(monitor: str, theirs: Sequence[Row], rules: Rules) -> Iterator[Row]:
    """What a receiver is told of a monitor's backlog: nothing until all of it was read."""
    caught_up = rules.caught_up[monitor].at
    ripe = [row for row in theirs if caught_up is not None and row["opened_at"] <= caught_up]
    lately = [row for row in ripe if rules.oldest and row["ended_at"] >= rules.oldest]
    if len(ripe) <= FEW and len(lately) == len(ripe):
        for row in ripe:
            yield {
                "monitor": monitor,
                "episode_id": row["id"],
                "event": Event.OPENED,
                "severity": row["severity"],
                "created_at": row["opened_at"],
            }
        return
    newest = max(ripe, key=lambda row: row["ended_at"])
    critical = any(row["severity"] == Severity.CRITICAL for row in ripe)
    yield {
        "monitor": monitor,
        "episode_id": newest["id"],
        "event": Event.BACKLOG,
        "severity": Severity.CRITICAL if critical else Severity.WARNING,
        # Tells which episodes it is about: all that were found until then.
        "created_at": max(row["opened_at"] for row in ripe),
    }
