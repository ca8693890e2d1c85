"""Stores and lists feedback on records and episodes, and describes the effect of feedback."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aemon.errors import ConfigError
from aemon.lifecycle.feedback_excuses import blamed_reason, excuses_from
from aemon.operations.episode_handling import find_episode
from aemon.operations.installation import Installation
from aemon.records import FeedbackVerdict
from aemon.store.episode_queries import add_episode_feedback
from aemon.store.feedback import (
    Feedback,
    add_feedback,
    blamed_cells,
    read_feedback,
    records_with_feedback,
)
from aemon.store.queries import flagged_records
from aemon.store.store import Store

LATELY = timedelta(days=30)
"""Length of the period in which the effect of feedback is counted.

The period ends at the newest flagged record.
"""

MOST_COMPARED = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A person's feedback on one record, on all records of an episode, or on a period.

    Attributes:
        verdict: verdict of the person.
        record: key of the record.
        entity: entity of the record, if several entities share the key; for a period, the only
            entity to ignore, or None for all entities.
        episode: number of the episode.
        until: for `ignore_until`, event time at which the period ends; UTC if the time has no zone.
        note: reason of the person.
    """

    verdict: FeedbackVerdict
    record: str | None = None
    entity: str | None = None
    episode: int | None = None
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenFeedback:
    """The feedback entries that were stored for a statement.

    Attributes:
        entries: one entry for a record or a period; for an episode, one entry for each flagged
            record.
        warning: a warning about the entries; empty without a warning.
        effect: the effect of the entries, as a sentence. For false alarms, the sentence counts the
            flagged records that would be excused.
    """

    entries: tuple[Feedback, ...]
    warning: str = ""
    effect: str = ""


def list_feedback(installation: Installation, monitor: str) -> tuple[Feedback, ...]:
    """Return all feedback on a monitor's records, oldest first.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    return tuple(read_feedback(installation.store, monitor))


def give_feedback(installation: Installation, monitor: str, statement: Statement) -> GivenFeedback:
    """Store a person's feedback on a monitor's records; return the entries with their effect.

    After a false alarm, similar records are excused at once. The next training uses all feedback.

    Raises:
        ConfigError: there is no such monitor, or the parts of the statement do not fit together.
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    _check(statement)
    until = statement.until
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    author = installation.author
    store = installation.changing(
        "feedback", monitor, verdict=statement.verdict.value, record=statement.record,
        entity=statement.entity, episode=statement.episode, note=statement.note,
        until=until.isoformat() if until else None,
    )  # fmt: skip
    if statement.episode is not None:
        episode = find_episode(installation, statement.episode, monitor)
        count = add_episode_feedback(store, episode, statement.verdict, statement.note, author)
        if not count:
            warning = f"no record of episode {statement.episode} is flagged any more"
            return GivenFeedback(entries=(), warning=warning)
        entries = tuple(read_feedback(store, monitor)[-count:])
        return GivenFeedback(entries=entries, effect=_effect(store, monitor, entries))
    add_feedback(
        store, monitor, statement.verdict, record_key=statement.record, entity=statement.entity,
        until=until, note=statement.note, author=author,
    )  # fmt: skip
    entry = read_feedback(store, monitor)[-1]
    unknown = statement.record is not None and entry.event_time is None
    warning = f"{monitor} has judged no record {statement.record!r} yet" if unknown else ""
    return GivenFeedback(
        entries=(entry,), warning=warning, effect=_effect(store, monitor, (entry,))
    )


def _effect(store: Store, monitor: str, entries: Sequence[Feedback]) -> str:
    """Return a sentence about the effect of feedback.

    For false alarms, the sentence has two numbers: of the recently flagged records that would be
    excused, and of the similar confirmed records.
    """
    verdict = entries[-1].verdict
    if verdict is FeedbackVerdict.IGNORE_UNTIL:
        return "these records are left out of training"
    if verdict is FeedbackVerdict.CONFIRMED:
        return (
            "confirmed records are left out of training, and no false alarm excuses similar records"
        )
    flagged = flagged_records(store, monitor=monitor, limit=MOST_COMPARED)
    newest = max((one.event_time for one in flagged), default=None)
    lately = [one for one in flagged if newest and newest - one.event_time <= LATELY]
    with store.reading() as connection:
        spoken = records_with_feedback(connection, monitor)
        cells = blamed_cells(connection, monitor, [one.record_key for one in lately])
    named = [one for one in spoken if any(e.is_about(one.entity, one.record_key) for e in entries)]
    if not named:
        return "no flagged record has this key: nothing is excused"
    excuses = excuses_from(spoken)
    by = excuses_from(named)
    own = {(one.entity, one.record_key) for one in named}
    verdicts = {(one.entity, one.record_key): one.verdict for one in spoken}
    reasons = {identity: blamed_reason(identity[0], blamed) for identity, blamed in cells.items()}
    like = {
        identity: reason
        for identity, reason in reasons.items()
        if identity not in own and reason is not None and any(map(reason.is_like, by.false_alarms))
    }
    confirmed = sum(verdicts.get(identity) is FeedbackVerdict.CONFIRMED for identity in like)
    excused = sum(map(excuses.cover, like.values()))
    effect = (
        f"similar records are excused from now on, and no threshold changes: {excused} of the "
        f"{len(lately)} records flagged in the last {LATELY.days} days would be excused"
    )
    if not confirmed:
        return f"{effect}; no confirmed record is similar"
    return f"{effect}; {confirmed} confirmed records are similar, too, and stay flagged"


def _check(statement: Statement) -> None:
    """Check that the parts of a statement fit together; errors name the command's options.

    Raises:
        ConfigError: the parts do not fit together.
    """
    ignores = statement.verdict is FeedbackVerdict.IGNORE_UNTIL
    if statement.episode is not None and (ignores or statement.record is not None):
        raise ConfigError(
            f"--episode does not go with {statement.verdict if ignores else '--record'}",
            todo="give false_alarm or confirmed for an episode, or leave --episode out",
        )
    if ignores and statement.until is None:
        raise ConfigError(
            "ignore_until needs --until",
            todo="aemon feedback MONITOR ignore_until --until 2026-11-30T12:00:00",
        )
    if not ignores and statement.until is not None:
        raise ConfigError(f"--until does not go with {statement.verdict}", todo="leave --until out")
    if not ignores and statement.record is None and statement.episode is None:
        raise ConfigError(
            f"{statement.verdict} needs a record or an episode",
            todo="add --record KEY; `aemon anomalies` lists keys; or --episode ID",
        )
