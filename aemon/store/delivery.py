"""Delivery of notifications: claims, results of attempts, new attempts, summaries of backlogs."""

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
"""The largest backlog, in episodes, in which each episode gets its own notification.

A larger backlog gets one summary.
"""


def known_since(store: Store, receiver: str) -> datetime:
    """Return the time since which a receiver is notified.

    If no time is stored for the receiver yet, store and return the present time.

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


def claim(store: Store, notification: Notification, until: datetime) -> bool:
    """Claim a notification for sending; return False if another replica has claimed it first.

    If this replica dies before it sends the notification, another attempt is due at `until`.

    Raises:
        StoreError: the database fails.
    """
    statement = (
        sa.update(notifications)
        .where(
            notifications.c.id == notification.id,
            notifications.c.state == NotificationState.WAITING,
            notifications.c.attempts == notification.attempts,
        )
        .values(attempts=notification.attempts + 1, next_try_at=until)
    )
    with store.writing() as connection:
        return connection.execute(statement).rowcount == 1


def note_sent(
    store: Store, notification: Notification, severity: Severity, status: int | None
) -> None:
    """Mark a notification as sent.

    For the event `opened`, also store a notification of the episode's end, in the state `expected`:
    it is not sent before the episode ends. For the event `escalated`, raise the severity of this
    stored notification.

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
        own = sa.update(notifications).where(notifications.c.id == notification.id)
        connection.execute(own.values(values))
        if notification.event == Event.OPENED:
            end = {
                "monitor": notification.monitor,
                "episode_id": notification.episode_id,
                "receiver": notification.receiver,
                "event": Event.RESOLVED,
                "state": NotificationState.EXPECTED,
                "severity": severity,
                "created_at": now,
            }
            connection.execute(store.insert_or_ignore(notifications), end)
        elif notification.event == Event.ESCALATED:
            end_of_it = (
                notifications.c.episode_id == notification.episode_id,
                notifications.c.receiver == notification.receiver,
                notifications.c.event == Event.RESOLVED,
            )
            connection.execute(sa.update(notifications).where(*end_of_it).values(severity=severity))


def note_failed(
    store: Store,
    notification: Notification,
    error: str,
    status: int | None,
    again_at: datetime | None,
) -> None:
    """Mark an attempt to send a notification as failed.

    If another replica has claimed the notification during a slow attempt, change nothing.

    Args:
        store: the store.
        notification: the notification, as it was before the attempt.
        error: why the attempt failed.
        status: HTTP status of the answer; None without an answer.
        again_at: time of the next attempt; None makes the notification a dead letter.

    Raises:
        StoreError: the database fails.
    """
    state = NotificationState.WAITING if again_at else NotificationState.DEAD
    values = {"state": state, "next_try_at": again_at, "status": status, "last_error": error}
    own = sa.and_(
        notifications.c.id == notification.id,
        notifications.c.state == NotificationState.WAITING,
        notifications.c.attempts == notification.attempts + 1,
    )
    with store.writing() as connection:
        connection.execute(sa.update(notifications).where(own).values(values))


def listed(
    store: Store,
    *,
    states: Collection[NotificationState] | None = None,
    receiver: str | None = None,
    limit: int = 20,
) -> list[Notification]:
    """Return at most `limit` notifications, newest first.

    Args:
        store: the store.
        states: states to include; None for all states except `expected`.
        receiver: name of the receiver; None for all receivers.
        limit: the largest number of notifications.

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
    """Make notifications due for sending now; return the number of these notifications.

    Args:
        store: the store.
        number: id of a dead or waiting notification; None for all dead letters.

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
    """Write the notifications for backlogs: for episodes that ended long before they were found.

    Up to `FEW` episodes of a monitor get one notification each. If there are more episodes, or if
    an episode is older than the receiver's age limit, one summary covers all episodes of the
    monitor. No notification is written before the monitor has read its source completely.

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
        for monitor, backlog in found.items()
        for row in _notifications_of(monitor, backlog, rules)
    ]
    if rows:
        with store.writing() as connection:
            connection.execute(store.insert_or_ignore(notifications), rows)


def summed_up(store: Store, rules: Rules, notification: Notification) -> list[Row]:
    """Return the episodes that the summary of a backlog covers, oldest first.

    Raises:
        StoreError: the database fails.
    """
    earlier = sa.select(sa.func.max(notifications.c.created_at)).where(
        notifications.c.monitor == notification.monitor,
        notifications.c.receiver == notification.receiver,
        notifications.c.event == Event.BACKLOG,
        notifications.c.created_at < notification.created_at,
    )
    known = sa.select(receivers.c.known_at).where(receivers.c.name == notification.receiver)
    with store.reading() as connection:
        previous = connection.execute(earlier).scalar()
        since = previous or connection.execute(known).scalar() or notification.created_at
        rows = [*_of_backlogs(connection, rules, since, covered=True)]
    covered = [
        row
        for row in rows
        if row["monitor"] == notification.monitor
        and row["opened_at"] <= notification.created_at
        and (previous is None or row["opened_at"] > previous)
    ]
    return sorted(covered, key=lambda row: row["ended_at"])


def _of_backlogs(
    connection: sa.Connection, rules: Rules, since: datetime, *, covered: bool = False
) -> Iterator[Row]:
    """Yield episodes of backlogs that were found at `since` or later and have no own notification.

    Args:
        connection: an open connection.
        rules: the rules of the receiver.
        since: only episodes that were found at this time or later.
        covered: True to include episodes that a stored summary covers.
    """
    opened = sa.and_(
        notifications.c.episode_id == episodes.c.id,
        notifications.c.receiver == rules.receiver,
        notifications.c.event == Event.OPENED,
    )
    summaries = (
        sa.select(notifications.c.monitor, sa.func.max(notifications.c.created_at))
        .where(notifications.c.receiver == rules.receiver, notifications.c.event == Event.BACKLOG)
        .group_by(notifications.c.monitor)
    )
    rows = () if covered else connection.execute(summaries)
    until: dict[str, datetime] = {row[0]: row[1] for row in rows}
    names = (
        "id", "monitor", "severity", "opened_at", "started_at", "ended_at", "records",
        "peak_exceedance", "peak_record_key",
    )  # fmt: skip
    query = sa.select(*(episodes.c[name] for name in names)).where(
        ~sa.exists().where(opened),
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


def _notifications_of(monitor: str, backlog: Sequence[Row], rules: Rules) -> Iterator[Row]:
    """Yield notification rows for the backlog of a monitor.

    Leave out episodes that were found after the last run that read the source completely.
    """
    caught_up = rules.caught_up[monitor].at
    ripe = [row for row in backlog if caught_up is not None and row["opened_at"] <= caught_up]
    recent = [row for row in ripe if rules.oldest and row["ended_at"] >= rules.oldest]
    if len(ripe) <= FEW and len(recent) == len(ripe):
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
        # The summary covers all episodes that were found up to this time.
        "created_at": max(row["opened_at"] for row in ripe),
    }
