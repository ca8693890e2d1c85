"""Notifications in the store: the events that each receiver is notified of, and delivery states.

Scoring transactions do not write notifications. Instead, `plan` compares the stored episodes with
the stored notifications and writes the missing notifications. Receiver, episode and event together
are unique in the table, so that each event is notified once, even if `plan` runs many times.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from aemon.message import Event
from aemon.records import EpisodeState, Severity
from aemon.store.episodes import NOT_CLOSED, is_news
from aemon.store.schema.tables import episodes, notifications, snoozes
from aemon.store.store import KEYS_AT_ONCE, Row, Store


class NotificationState(StrEnum):
    """The delivery state of a notification."""

    EXPECTED = "expected"  # about the end of an episode that has not ended yet
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"  # a dead letter: aemon has given up; a person may try again


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """A notification: one event of an episode for one receiver, with its delivery state."""

    id: int
    monitor: str
    episode_id: int
    receiver: str
    event: str
    state: str
    severity: str
    created_at: datetime
    due_at: datetime | None
    attempts: int
    next_try_at: datetime | None
    sent_at: datetime | None
    status: int | None
    last_error: str


_FIELDS = tuple(notifications.c[name] for name in Notification.__slots__)
_ORDER = sa.case(
    {event.value: place for place, event in enumerate(Event)}, value=notifications.c.event
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaughtUp:
    """How far a monitor has read its source.

    Attributes:
        at: the end of the last run that read all records of the source; None without such a run.
        long_over: an episode belongs to a backlog if aemon found the episode more than this time
            after its end.
    """

    at: datetime | None
    long_over: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules for the notifications to one receiver.

    Attributes:
        receiver: name of the receiver.
        since: the receiver is not notified of episodes that opened before this time and have ended.
        oldest: the receiver is not notified of episodes whose last record is older than this event
            time; None for no limit.
        least: the lowest severity that is notified.
        resolved: whether the receiver is notified of the end of an episode.
        caught_up: monitor -> how far the monitor has read its source.
    """

    receiver: str
    since: datetime
    oldest: datetime | None
    least: str
    resolved: bool
    caught_up: Mapping[str, CaughtUp] = field(default_factory=dict)

    def is_of_backlog(self, monitor: str, opened_at: datetime, ended_at: datetime) -> bool:
        """Return whether an episode belongs to a backlog: it ended long before it was found.

        Return False for a receiver without an age limit (`oldest` is None): this receiver gets one
        notification for each episode.

        Args:
            monitor: name of the monitor.
            opened_at: when the episode was found.
            ended_at: event time of its last anomaly.
        """
        known = self.caught_up.get(monitor) if self.oldest is not None else None
        return known is not None and opened_at - ended_at > known.long_over

    def is_reported_alone(
        self, monitor: str, state: str, opened_at: datetime, ended_at: datetime
    ) -> bool:
        """Return whether an episode gets its own notification now, not a summary of a backlog."""
        if not self.is_of_backlog(monitor, opened_at, ended_at):
            return True
        read = self.caught_up[monitor].at
        # If the source is read completely, an open episode really continues. Before that, records
        # that end the episode may still be unread.
        return state != EpisodeState.CLOSED and read is not None and opened_at <= read

    def takes(self, severity: str) -> bool:
        """Return whether a severity is high enough to notify this receiver."""
        return severity == Severity.CRITICAL or self.least == Severity.WARNING


def plan(store: Store, rules: Rules, monitors: Collection[str]) -> None:
    """Write the notifications that are due for the episodes of these monitors.

    If no notification is due, do not open a write transaction.

    Raises:
        StoreError: the database fails.
    """
    with store.reading() as connection:
        new = [*_new_episodes(connection, rules, monitors)]
        ended, worse = _progress(connection, rules, monitors)
    if not (new or ended or worse):
        return
    now = store.now()
    waiting = {
        "receiver": rules.receiver,
        "state": NotificationState.WAITING,
        "created_at": now,
        "due_at": now,
        "next_try_at": now,
    }
    with store.writing() as connection:
        if rows := [{**row, **waiting} for row in (*new, *worse)]:
            connection.execute(store.insert_or_ignore(notifications), rows)
        for some in _pieces(ended):
            expected = sa.and_(
                notifications.c.id.in_(some), notifications.c.state == NotificationState.EXPECTED
            )
            if rules.resolved:
                due = {"state": NotificationState.WAITING, "due_at": now, "next_try_at": now}
                connection.execute(sa.update(notifications).where(expected).values(due))
            else:
                connection.execute(sa.delete(notifications).where(expected))


def _new_episodes(
    connection: sa.Connection, rules: Rules, monitors: Collection[str]
) -> Iterator[Row]:
    """Yield notification rows for new episodes of the receiver; leave out episodes of a backlog."""
    opened = sa.and_(
        notifications.c.episode_id == episodes.c.id,
        notifications.c.receiver == rules.receiver,
        notifications.c.event == Event.OPENED,
    )
    names = ("id", "monitor", "severity", "state", "opened_at", "ended_at")
    query = sa.select(*(episodes.c[name] for name in names)).where(
        ~sa.exists().where(opened), episodes.c.opened_at.is_not(None), is_news()
    )
    if rules.oldest is not None:
        query = query.where(episodes.c.ended_at >= rules.oldest)
    still_open = [
        sa.and_(episodes.c.monitor.in_(some), episodes.c.state == EpisodeState.OPEN)
        for some in _pieces(sorted(monitors))
    ]
    seen = set()
    for part in (*still_open, episodes.c.opened_at >= rules.since):
        for number, monitor, severity, state, *times in connection.execute(query.where(part)):
            if not rules.is_reported_alone(monitor, state, *times):
                continue
            if number not in seen and monitor in monitors and rules.takes(severity):
                seen.add(number)
                yield {
                    "monitor": monitor,
                    "episode_id": number,
                    "event": Event.OPENED,
                    "severity": severity,
                }


def _progress(
    connection: sa.Connection, rules: Rules, monitors: Collection[str]
) -> tuple[list[int], list[Row]]:
    """Return (ids, rows) for the notified episodes that have ended or have become critical.

    Each id is the id of a notification in state `expected` (see `NotificationState`) whose episode
    is closed now. The rows are new notifications of open episodes that were notified as a warning
    and are critical now.
    """
    escalated = notifications.alias("escalated")
    query = (
        sa.select(
            *(notifications.c[name] for name in ("id", "monitor", "episode_id")),
            notifications.c.severity.label("notified_severity"),
            episodes.c.severity,
            episodes.c.state,
            escalated.c.id.label("escalated"),
        )
        .join(episodes, episodes.c.id == notifications.c.episode_id)
        .outerjoin(
            escalated,
            sa.and_(
                escalated.c.episode_id == notifications.c.episode_id,
                escalated.c.receiver == notifications.c.receiver,
                escalated.c.event == Event.ESCALATED,
            ),
        )
        .where(
            notifications.c.receiver == rules.receiver,
            notifications.c.state == NotificationState.EXPECTED,
        )
    )
    ended, worse = [], []
    for row in connection.execute(query):
        if row.monitor not in monitors:
            continue
        if row.state == EpisodeState.CLOSED:
            ended.append(row.id)
        elif row.notified_severity == Severity.WARNING != row.severity and row.escalated is None:
            worse.append(
                {
                    "monitor": row.monitor,
                    "episode_id": row.episode_id,
                    "event": Event.ESCALATED,
                    "severity": row.severity,
                }
            )
    return ended, worse


def waiting(store: Store, receiver: str, monitors: Collection[str]) -> list[Notification]:
    """Return the waiting notifications of these monitors for a receiver, in order of sending.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*_FIELDS)
        .where(
            notifications.c.receiver == receiver,
            notifications.c.state == NotificationState.WAITING,
        )
        .order_by(_ORDER, notifications.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings()
        return [Notification(**row) for row in rows if row["monitor"] in monitors]


def active(store: Store, receiver: str, monitors: Collection[str]) -> list[Notification]:
    """Return a receiver's notifications in state `expected` whose episodes are still open.

    The receiver is reminded of these episodes. Episodes of snoozed entities are left out.

    Raises:
        StoreError: the database fails.
    """
    now = store.now()
    snoozed = sa.exists().where(
        snoozes.c.monitor == episodes.c.monitor,
        sa.or_(snoozes.c.entity.is_(None), snoozes.c.entity == episodes.c.entity),
        snoozes.c.since <= now,
        snoozes.c.until > now,
    )
    query = (
        sa.select(*_FIELDS)
        .join(episodes, episodes.c.id == notifications.c.episode_id)
        .where(
            notifications.c.receiver == receiver,
            notifications.c.state == NotificationState.EXPECTED,
            episodes.c.state.in_(NOT_CLOSED),
            ~snoozed,
        )
        .order_by(notifications.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings()
        return [Notification(**row) for row in rows if row["monitor"] in monitors]


def counted(store: Store, receiver: str, monitors: Collection[str]) -> dict[NotificationState, int]:
    """Return state -> number of notifications for a receiver, for the states waiting and dead.

    Only notifications of these monitors count: the caller can leave out monitors that are no longer
    configured.

    Raises:
        StoreError: the database fails.
    """
    states = (NotificationState.WAITING, NotificationState.DEAD)
    query = (
        sa.select(notifications.c.state, notifications.c.monitor, sa.func.count())
        .where(notifications.c.receiver == receiver, notifications.c.state.in_(states))
        .group_by(notifications.c.state, notifications.c.monitor)
    )
    found = dict.fromkeys(states, 0)
    with store.reading() as connection:
        for state, monitor, count in connection.execute(query):
            found[NotificationState(state)] += count if monitor in monitors else 0
    return found


def _pieces(some: Sequence[int] | Sequence[str]) -> Iterator[Sequence[int] | Sequence[str]]:
    for start in range(0, len(some), KEYS_AT_ONCE):
        yield some[start : start + KEYS_AT_ONCE]
