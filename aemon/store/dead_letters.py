"""Notifications as people meet them: listed, and tried again."""

from collections.abc import Collection

import sqlalchemy as sa

from aemon.store.outbox import Notification, NotificationState
from aemon.store.store import Store
from aemon.store.tables import notifications


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
