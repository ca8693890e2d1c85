"""Facts about many monitors, read by a few queries for all of them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aemon.records import DetectorState, Job, Verdict
from aemon.store.detectors import StoredDetector, judging_of
from aemon.store.drifts import OPEN
from aemon.store.episodes import NOT_CLOSED
from aemon.store.ledger import LastRun
from aemon.store.lists.ledger_sums import SCORED, LedgerSums, judged_by_active
from aemon.store.page_queries.name_lists import is_among
from aemon.store.schema.tables import (
    anomalies,
    detectors,
    drifts,
    episodes,
    live_states,
    monitors,
    runs,
    scores,
    watermarks,
)

_SAME = ("monitor", "record_key", "entity", "revision", "event_time")
_TOLD = ("traffic", "told")  # where the state of a monitor has the sentences about its traffic


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Facts about monitors; a monitor is missing in a mapping if there is nothing about it.

    Attributes:
        judging: monitor -> state -> detector, for the active detector and the one on trial.
        first_trained: monitor -> time of its first training.
        read_until: monitor -> event time of its watermark.
        drifts: monitor -> the reason of each open drift, oldest first.
        traffic: monitor -> sentences about an unusual arrival of its records.
        episodes_open: monitor -> number of notified episodes that are not closed.
        scored: monitor -> number of records scored since a time.
        judged: monitor -> number of records that the active detector has judged.
        flagged: monitor -> (number of records flagged now and scored since a time, number of
            records flagged now by the active detector).
        last: (monitor, job) -> newest ledger row.
    """

    judging: Mapping[str, Mapping[DetectorState, StoredDetector]]
    first_trained: Mapping[str, datetime]
    read_until: Mapping[str, datetime]
    drifts: Mapping[str, tuple[str, ...]]
    traffic: Mapping[str, tuple[str, ...]]
    episodes_open: Mapping[str, int]
    scored: Mapping[str, int]
    judged: Mapping[str, int]
    flagged: Mapping[str, tuple[int, int]]
    last: Mapping[tuple[str, str], LastRun]


def read_facts(
    connection: sa.Connection,
    names: Sequence[str],
    since: datetime,
    now: datetime,
    sums: LedgerSums | None = None,
) -> Facts:
    """Return facts about the named monitors.

    Args:
        connection: an open connection.
        names: names of the monitors.
        since: begin of the period in which `scored` and `flagged` count records.
        now: the present time.
        sums: sums over the ledger that are kept between calls; None to read the whole ledger.
    """
    ask = _Asking(connection, names)
    not_closed = episodes.c.state.in_(NOT_CLOSED)
    reasons: dict[str, list[str]] = defaultdict(list)
    open_drifts = sa.select(drifts.c.monitor, drifts.c.reason).where(drifts.c.state == OPEN)
    for name, reason in ask.rows(open_drifts.order_by(drifts.c.id), drifts.c.monitor):
        reasons[name].append(reason)
    judging = judging_of(connection, names)
    scored: Mapping[str, int]
    judged: Mapping[str, int]
    if sums is None:
        scored_since = sa.and_(runs.c.job == Job.SCORE.value, runs.c.started_at >= since)
        scored = ask.one_each(runs, sa.func.sum(SCORED), scored_since)
        judged = dict(ask.rows(judged_by_active(), runs.c.monitor))
    else:
        active = {
            name: by_state[DetectorState.ACTIVE]
            for name, by_state in judging.items()
            if DetectorState.ACTIVE in by_state
        }
        scored, judged = sums.read(connection, active, since, now)
    return Facts(
        judging=judging,
        first_trained=ask.one_each(detectors, sa.func.min(detectors.c.trained_at)),
        read_until=ask.one_each(watermarks, sa.func.max(watermarks.c.event_time)),
        drifts={name: tuple(told) for name, told in reasons.items()},
        traffic=dict(_traffic(ask)),
        episodes_open=ask.one_each(episodes, sa.func.count(), not_closed),
        scored=scored,
        judged=judged,
        flagged={
            name: (int(lately), int(by_active))
            for name, lately, by_active in ask.rows(_flagged(since), anomalies.c.monitor)
        },
        last={
            (row.name, job.value): LastRun(
                outcome=row.outcome,
                reason=row.reason,
                finished_at=row.finished_at,
                records_read=row.records_read,
            )
            for job in (Job.SCORE, Job.TRAIN)
            for row in ask.rows(_last_runs(job), monitors.c.name)
        },
    )


class _Asking:
    """Queries about the named monitors."""

    def __init__(self, connection: sa.Connection, names: Sequence[str]) -> None:
        self.connection = connection
        self._names = names

    def rows(self, query: sa.Select[Any], column: sa.ColumnElement[str]) -> Iterator[Any]:
        """Yield the rows of a query in which a column is the name of one of the monitors."""
        own = is_among(self.connection, column, self._names)
        yield from self.connection.execute(query.where(own))

    def one_each(
        self, table: sa.Table, value: Any, *conditions: sa.ColumnElement[bool]
    ) -> dict[str, Any]:
        """Return monitor -> aggregated value of its rows that meet the conditions."""
        query = sa.select(table.c.monitor, value).where(*conditions).group_by(table.c.monitor)
        return {name: found for name, found in self.rows(query, table.c.monitor) if found}


def _is_active() -> sa.ColumnElement[bool]:
    return detectors.c.state == DetectorState.ACTIVE.value


def _active_since() -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at)


def _flagged(since: datetime) -> sa.Select[Any]:
    """Return the query for (monitor, flagged since a time, flagged by the active detector).

    Records are counted by their newest verdict; hindsight verdicts are not counted. The ledger
    counts only newly flagged records, and a record judged again may still be flagged.
    """
    lately = scores.c.scored_at >= since
    by_active = sa.and_(
        scores.c.detector_id == detectors.c.id, scores.c.scored_at >= _active_since()
    )
    return (
        sa.select(anomalies.c.monitor, *(
            sa.func.sum(sa.case((counted, 1), else_=0)) for counted in (lately, by_active)
        ))
        .join(scores, sa.and_(
            *(anomalies.c[name] == scores.c[name] for name in _SAME),
            scores.c.superseded_at.is_(None),
            scores.c.verdict == Verdict.ANOMALY.value,
        ))
        .join(runs, sa.and_(runs.c.id == scores.c.run_id, runs.c.job == Job.SCORE.value))
        .outerjoin(detectors, sa.and_(detectors.c.monitor == anomalies.c.monitor, _is_active()))
        .group_by(anomalies.c.monitor)
    )  # fmt: skip


def _last_runs(job: Job) -> sa.Select[Any]:
    """Return the query for the newest ledger row of each monitor, found by the index."""
    newest = (
        sa.select(runs.c.id)
        .where(runs.c.monitor == monitors.c.name, runs.c.job == job.value)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(1)
        .correlate(monitors)
        .scalar_subquery()
    )
    columns = (runs.c[name] for name in ("outcome", "reason", "finished_at", "records_read"))
    return sa.select(monitors.c.name, *columns).join(runs, runs.c.id == newest)


def _traffic(ask: _Asking) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (monitor, sentences); the database takes them out of states, which may be long."""
    state = live_states.c.state
    if ask.connection.dialect.name == "sqlite":
        text = sa.type_coerce(state, sa.Text)
        path = f"$.{'.'.join(_TOLD)}"
        told: sa.ColumnElement[Any] = sa.case(
            (sa.func.json_valid(text) == 1, sa.func.json_extract(text, path))
        )
    else:
        told = sa.cast(sa.func.jsonb_extract_path(state, *_TOLD), sa.Text)
    for name, found in ask.rows(sa.select(live_states.c.monitor, told), live_states.c.monitor):
        sentences = json.loads(found) if isinstance(found, str) and found[:1] == "[" else None
        if isinstance(sentences, list) and sentences:
            yield name, tuple(map(str, sentences))
