"""From a notification and its episode in the store to the message that people get."""

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
    """What a monitor's configuration adds to its messages: units of columns, labels, its pace."""

    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    long_over: timedelta = timedelta(hours=1)
    """What ended so long before it was found is of a backlog."""


MOST_COLUMNS = 3  # in a message; a reason names no more either
LONGEST_REASON, LONGEST_VALUE = 1_000, 100  # characters; more is read in the store
LEAST_SHARE = 0.01  # a column with less of the blame is not to blame


def message_of(store: Store, one: Notification, words: Words, page: str) -> Message | None:
    """Return the message of a notification, with its episode as it is now; None if it is gone.

    Args:
        store: holds the notification and the episode.
        one: the notification.
        words: units and labels of its monitor.
        page: the address of the status page.

    Raises:
        StoreError: the database fails.
    """
    found = episode_summaries(store, [one.monitor], number=one.episode_id)
    if not found:
        return None
    (told,) = found
    records = flagged_records(
        store,
        monitor=told.monitor,
        entity=told.entity,
        record_key=told.peak_record_key,
        episode=told.id,
        limit=1,
    )
    event = word_of(Event, one.event, Event.OPENED)
    # The end is that of what was reported before: an escalation may have been given up.
    severity = one.severity if event is Event.RESOLVED else told.severity
    return Message(
        event=event,
        episode=told.id,
        monitor=told.monitor,
        entity=told.entity,
        severity=word_of(Severity, severity, Severity.WARNING),
        before=Severity.WARNING if event is Event.ESCALATED else None,
        state=word_of(EpisodeState, told.state, EpisodeState.CLOSED),
        started_at=told.started_at,
        ended_at=told.ended_at,
        opened_at=told.opened_at,
        records=told.records,
        peak_exceedance=told.peak_exceedance,
        peak_record=told.peak_record_key,
        reason=on_one_line(records[0].reason, LONGEST_REASON) if records else "",
        columns=_columns(told, records, words.units),
        acknowledged=told.acknowledged_at is not None,
        like=on_one_line(told.like, LONGEST_VALUE),
        label=on_one_line(told.label, LONGEST_VALUE),
        page=f"{page}/#episode-{told.id}",
        sql=sql_of(told.id),
        command=f"aemon episodes show {told.id}",
        labels=words.labels,
    )


def backlog_message(
    one: Notification, found: Sequence[Mapping[str, Any]], words: Words, page: str
) -> Message | None:
    """Return the summary of a backlog; None if its episodes are gone.

    Args:
        one: the notification.
        found: the episodes it tells of, the newest last.
        words: labels of its monitor.
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
    """Return a text on one line and no longer than a message can hold.

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
    told: EpisodeSummary, records: Sequence[FlaggedRecord], units: Mapping[str, str]
) -> tuple[Blamed, ...]:
    total = sum(told.blame.values()) or 1.0
    at_peak = {part.column: part for record in records for part in record.columns}
    first = sorted(told.blame, key=lambda name: -told.blame[name])[:MOST_COLUMNS]
    columns: list[Blamed] = []
    for name in first:
        if columns and told.blame[name] < LEAST_SHARE * total:
            break
        observed, expected, is_number = _pair(at_peak.get(name))
        columns.append(
            Blamed(
                column=on_one_line(name, LONGEST_VALUE),
                share=told.blame[name] / total,
                observed=observed,
                expected=expected,
                unit=units.get(name, "") if is_number else "",
            )
        )
    return tuple(columns)


def _pair(part: BlamedColumn | None) -> tuple[str | None, str | None, bool]:
    """Return observed and expected value as people read them, and whether they are numbers."""
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
