"""What becomes of a notification: who takes it to be sent, and how that went."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from aemon.message import Event
from aemon.records import Severity
from aemon.store.outbox import Notification, NotificationState
from aemon.store.schema.tables import notifications, receivers
from aemon.store.store import Store


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
