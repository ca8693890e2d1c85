"""Messages for people, composed from a notification and its stored episode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aemon.detection.explaining.sentence import number_pair
from aemon.message import Blamed, Event, Message
from aemon.records import EpisodeState, Severity
from aemon.store.episode_queries import EpisodeSummary, episode_summaries
from aemon.store.outbox import Notification
from aemon.store.queries import BlamedColumn, FlaggedRecord, flagged_records
from aemon.store.schema.junk import word_of
from aemon.store.store import Store
from aemon.texts import cut


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The parts of a monitor's configuration that are needed for messages about this monitor."""

    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    long_over: timedelta = timedelta(hours=1)
    """An episode belongs to a backlog if it ended more than this time before aemon found it."""


MOST_COLUMNS = 3  # largest number of columns in a message, as in a reason
LONGEST_REASON, LONGEST_VALUE = 1_000, 100  # characters; the store has the whole text
LEAST_SHARE = 0.01  # columns with a smaller share of the contributions are left out


def message_of(store: Store, one: Notification, words: Words, page: str) -> Message | None:
    """Return the message of a notification with the present state of its episode.

    Args:
        store: the store of the episode.
        one: the notification.
        words: units and labels of the notification's monitor.
        page: the address of the status page.

    Returns:
        The message; None if the episode was removed.

    Raises:
        StoreError: the database fails.
    """
    found = episode_summaries(store, [one.monitor], number=one.episode_id)
    if not found:
        return None
    (episode,) = found
    records = flagged_records(
        store,
        monitor=episode.monitor,
        entity=episode.entity,
        record_key=episode.peak_record_key,
        episode=episode.id,
        limit=1,
    )
    event = word_of(Event, one.event, Event.OPENED)
    # A message about an end has the severity that was reported before: the message about an
    # escalation may have been given up.
    severity = one.severity if event is Event.RESOLVED else episode.severity
    return Message(
        event=event,
        episode=episode.id,
        monitor=episode.monitor,
        entity=episode.entity,
        severity=word_of(Severity, severity, Severity.WARNING),
        before=Severity.WARNING if event is Event.ESCALATED else None,
        state=word_of(EpisodeState, episode.state, EpisodeState.CLOSED),
        started_at=episode.started_at,
        ended_at=episode.ended_at,
        opened_at=episode.opened_at,
        records=episode.records,
        peak_exceedance=episode.peak_exceedance,
        peak_record=episode.peak_record_key,
        reason=on_one_line(records[0].reason, LONGEST_REASON) if records else "",
        columns=_columns(episode, records, words.units),
        acknowledged=episode.acknowledged_at is not None,
        like=on_one_line(episode.like, LONGEST_VALUE),
        label=on_one_line(episode.label, LONGEST_VALUE),
        page=f"{page}/episodes/{episode.id}",
        sql=sql_of(episode.id),
        command=f"aemon episodes show {episode.id}",
        labels=words.labels,
    )


def backlog_message(
    one: Notification, found: Sequence[Mapping[str, Any]], words: Words, page: str
) -> Message | None:
    """Return the message that sums up a backlog; None if its episodes were removed.

    Args:
        one: the notification.
        found: the episodes of the backlog, the newest last.
        words: labels of the notification's monitor.
        page: the address of the status page.
    """
    if not found:
        return None
    first, last = min(row["started_at"] for row in found), found[-1]["ended_at"]
    peak = max(found, key=lambda row: row["peak_exceedance"])
    count = f"{len(found)} episodes" if len(found) > 1 else "one episode"
    return Message(
        event=Event.BACKLOG,
        episode=one.episode_id,
        monitor=one.monitor,
        entity="",
        severity=word_of(Severity, one.severity, Severity.WARNING),
        state=EpisodeState.CLOSED,
        started_at=first,
        ended_at=last,
        opened_at=one.created_at,
        records=sum(row["records"] for row in found),
        peak_exceedance=peak["peak_exceedance"],
        peak_record=peak["peak_record_key"],
        reason=f"{count} in the records of {first:%Y-%m-%d} to {last:%Y-%m-%d}, found in a backlog; "
        f"the newest ended {last:%Y-%m-%d %H:%M} UTC",
        columns=(),
        page=page,
        sql=_SQL_OF_BACKLOG.format(
            monitor=one.monitor, first=first, after=last + timedelta(seconds=1)
        ),
        command=f"aemon episodes list --monitor {one.monitor}",
        labels=words.labels,
        episodes=len(found),
    )


_SQL_OF_BACKLOG = (
    "SELECT * FROM episodes_told WHERE monitor = '{monitor}'"
    " AND started_at >= '{first:%Y-%m-%d %H:%M:%S}' AND ended_at < '{after:%Y-%m-%d %H:%M:%S}';"
)


def on_one_line(text: str, longest: int) -> str:
    """Return a text on one line, cut to a length in characters.

    >>> on_one_line("never seen", 5)
    'never...'
    """
    return cut(" ".join(text.split()), longest)


def sql_of(episode: int) -> str:
    """Return a query for an episode's records, which runs on SQLite and on PostgreSQL."""
    return (
        "SELECT event_time, entity, record_key, severity, exceedance, reason, top_column, observed,"  # noqa: S608 -- a whole number
        f" expected FROM flagged_records WHERE episode_id = {episode:d} ORDER BY event_time;"
    )


def _columns(
    episode: EpisodeSummary, records: Sequence[FlaggedRecord], units: Mapping[str, str]
) -> tuple[Blamed, ...]:
    total = sum(episode.blame.values()) or 1.0
    at_peak = {part.column: part for record in records for part in record.columns}
    first = sorted(episode.blame, key=lambda name: -episode.blame[name])[:MOST_COLUMNS]
    columns: list[Blamed] = []
    for name in first:
        if columns and episode.blame[name] < LEAST_SHARE * total:
            break
        observed, expected, is_number = _pair(at_peak.get(name))
        columns.append(
            Blamed(
                column=on_one_line(name, LONGEST_VALUE),
                share=episode.blame[name] / total,
                observed=observed,
                expected=expected,
                unit=units.get(name, "") if is_number else "",
            )
        )
    return tuple(columns)


def _pair(part: BlamedColumn | None) -> tuple[str | None, str | None, bool]:
    """Return the observed and the expected value as text, and whether they are numbers."""
    if part is None:
        return None, None, False
    try:
        pair = number_pair(float(part.observed or ""), float(part.expected or ""))
    except ValueError:
        observed, expected = (
            None if text is None else on_one_line(text, LONGEST_VALUE)
            for text in (part.observed, part.expected)
        )
        return observed, expected, False
    return *pair, True
