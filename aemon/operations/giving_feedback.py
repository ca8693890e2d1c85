"""Feedback on records and episodes: what a person says that they were."""

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
"""Before the newest flagged record: what feedback is held against, to say what it costs."""

MOST_COMPARED = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a person says, and about what: one record, all records of an episode, or a stretch.

    Attributes:
        verdict: what it was.
        record: the key of the record.
        entity: the record's entity, where several share the key; of a stretch, the only one.
        episode: the number of the episode.
        until: of `ignore_until`: the event time at which the stretch ends; UTC if it has no zone.
        note: why.
    """

    verdict: FeedbackVerdict
    record: str | None = None
    entity: str | None = None
    episode: int | None = None
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenFeedback:
    """The feedback entries that a statement made.

    Attributes:
        entries: one for a record or a stretch; one for each flagged record of an episode.
        warning: what a person should know of them; empty if there is nothing.
        effect: what they change, and what that costs, in plain words.
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
    """Store what a person says of a monitor's records, and say what it changes.

    Records like a false alarm are excused at once; the next training takes all of it up.

    Raises:
        ConfigError: there is no such monitor, or the parts of the statement do not fit together.
        NotFoundError: there is no such episode.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    _check(statement)
    store, said = installation.store, statement
    if said.episode is not None:
        episode = find_episode(installation, said.episode, monitor)
        count = add_episode_feedback(store, episode, said.verdict, said.note)
        if not count:
            warning = f"no record of episode {said.episode} is flagged any more"
            return GivenFeedback(entries=(), warning=warning)
        entries = tuple(read_feedback(store, monitor)[-count:])
        return GivenFeedback(entries=entries, effect=_effect(store, monitor, entries))
    until = said.until
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    add_feedback(
        store, monitor, said.verdict,
        record_key=said.record, entity=said.entity, until=until, note=said.note,
    )  # fmt: skip
    entry = read_feedback(store, monitor)[-1]
    unknown = said.record is not None and entry.event_time is None
    warning = f"{monitor} has judged no record {said.record!r} yet" if unknown else ""
    return GivenFeedback(
        entries=(entry,), warning=warning, effect=_effect(store, monitor, (entry,))
    )


def _effect(store: Store, monitor: str, entries: Sequence[Feedback]) -> str:
    """Say what was changed, and what it costs: how many flagged records are like those named."""
    verdict = entries[-1].verdict
    if verdict is FeedbackVerdict.IGNORE_UNTIL:
        return "nothing is learned from these records"
    if verdict is FeedbackVerdict.CONFIRMED:
        return "it teaches nothing, and no false alarm excuses records like it"
    flagged = flagged_records(store, monitor=monitor, limit=MOST_COMPARED)
    newest = max((one.event_time for one in flagged), default=None)
    lately = [one for one in flagged if newest and newest - one.event_time <= LATELY]
    with store.reading() as connection:
        spoken = records_with_feedback(connection, monitor)
        cells = blamed_cells(connection, monitor, [one.record_key for one in lately])
    named = [one for one in spoken if any(e.is_about(one.entity, one.record_key) for e in entries)]
    if not named:
        return "no flagged record is known by that key: nothing is excused"
    excuses = excuses_from(spoken)
    by = excuses_from(named)
    own = {(one.entity, one.record_key) for one in named}
    said = {(one.entity, one.record_key): one.verdict for one in spoken}
    reasons = {identity: blamed_reason(identity[0], blamed) for identity, blamed in cells.items()}
    like = {
        identity: reason
        for identity, reason in reasons.items()
        if identity not in own and reason is not None and any(map(reason.is_like, by.false_alarms))
    }
    confirmed = sum(said.get(identity) is FeedbackVerdict.CONFIRMED for identity in like)
    excused = sum(map(excuses.cover, like.values()))
    told = (
        f"records like it are excused from now on, and no threshold moves: {excused} of the "
        f"{len(lately)} flagged in the last {LATELY.days} days are like it"
    )
    if not confirmed:
        return f"{told}; none of the confirmed"
    return f"{told}; {confirmed} confirmed ones are like it too, so those stay flagged"


def _check(said: Statement) -> None:
    """Refuse, in the command's words, what the database would refuse.

    Raises:
        ConfigError: the parts do not fit together.
    """
    ignores = said.verdict is FeedbackVerdict.IGNORE_UNTIL
    if said.episode is not None and (ignores or said.record is not None):
        raise ConfigError(
            f"--episode does not go with {said.verdict if ignores else '--record'}",
            todo="say false_alarm or confirmed of an episode, or leave it out",
        )
    if ignores and said.until is None:
        raise ConfigError(
            "ignore_until needs --until",
            todo="aemon feedback MONITOR ignore_until --until 2026-11-30T12:00:00",
        )
    if not ignores and said.until is not None:
        raise ConfigError(f"--until does not go with {said.verdict}", todo="leave it out")
    if not ignores and said.record is None and said.episode is None:
        raise ConfigError(
            f"{said.verdict} is said of a record",
            todo="add --record KEY; `aemon anomalies` lists keys; or --episode ID",
        )
