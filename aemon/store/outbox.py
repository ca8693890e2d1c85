"""Notifications in the store: which events a receiver is notified of, and their delivery states.

Scoring transactions do not write notifications: stored notifications are compared with the stored
episodes. Receiver, episode and event are unique, so that each event is notified once, however
often they are compared.
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

    EXPECTED = "expected"  # the receiver knows the episode, which has not ended
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"  # a dead letter: given up; a person may try again


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """An event of an episode, for one receiver."""

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
        at: when the last run ended that left nothing unread; None if there was none.
        long_over: an episode that ended longer than this before it was found belongs to a backlog.
    """

    at: datetime | None
    long_over: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules of what one receiver is notified of.

    Attributes:
        receiver: its name.
        since: episodes that opened before and have ended are not notified.
        oldest: episodes whose records are all older are not notified; None for no limit.
        least: the least severity.
        resolved: whether the end of an episode is notified.
        caught_up: monitor -> how far it has read its source.
    """

    receiver: str
    since: datetime
    oldest: datetime | None
    least: str
    resolved: bool
    caught_up: Mapping[str, CaughtUp] = field(default_factory=dict)

    def is_of_backlog(self, monitor: str, opened_at: datetime, ended_at: datetime) -> bool:
        """Return whether the last anomaly of an episode was long before the episode was found.

        A receiver without a limit of age (`oldest`) is notified of each episode by itself.
        """
        known = self.caught_up.get(monitor) if self.oldest is not None else None
        return known is not None and opened_at - ended_at > known.long_over

    def is_reported_alone(
        self, monitor: str, state: str, opened_at: datetime, ended_at: datetime
    ) -> bool:
        """Return whether an episode is notified by itself now, not in the summary of a backlog."""
        if not self.is_of_backlog(monitor, opened_at, ended_at):
            return True
        read = self.caught_up[monitor].at
        # An episode still open when all was read continues. Before, it may just not be read fully.
        return state != EpisodeState.CLOSED and read is not None and opened_at <= read

    def takes(self, severity: str) -> bool:
        """Return whether a severity is high enough."""
        return severity == Severity.CRITICAL or self.least == Severity.WARNING


def plan(store: Store, rules: Rules, monitors: Collection[str]) -> None:
    """Write the notifications due for these monitors' episodes; write nothing if none is due.

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
    """Yield episodes that the receiver was not notified of, without those of a backlog."""
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
    """Return ids of expected ends that are due, and rows for notified episodes now critical."""
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
    """Return the notifications to be sent to a receiver, of these monitors, in order of sending.

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
    """Return the expected ends of open episodes, of which a receiver is reminded.

    Episodes of a snoozed entity are left out while the snooze lasts.

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
    """Return how many notifications of a receiver wait, and how many are dead, of these monitors.

    Waiting notifications of a monitor that is no longer configured do not count.

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
