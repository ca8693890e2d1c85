"""Sums over the ledger that a daemon keeps in memory, so that a page of all monitors is quick.

The ledger has a row for every tick. Rows of runs that started long ago no longer change: their sums
are kept, and only newer rows are read.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import sqlalchemy as sa

from aemon.records import DetectorState, Job
from aemon.store.detectors import StoredDetector
from aemon.store.schema.tables import detectors, runs
from aemon.store.store import KEYS_AT_ONCE

UNSETTLED = timedelta(minutes=30)  # age up to which a run may still change its row
RENEW_SECONDS = 3600.0  # the sums are read again, because retention removes rows

SCORED = runs.c.records_scored
JUDGED = (
    runs.c.records_scored + runs.c.records_revised - runs.c.records_absent - runs.c.records_idle
)
"""The number of records that a run judged."""


@dataclass
class _Kept:
    """The sums of settled rows.

    Attributes:
        since: begin of the period of `scored`.
        until: end of the settled rows: the sums contain only runs that started before.
        renew_at: time of the monotonic clock at which the sums are read again.
        scored: monitor -> number of records scored.
        judged: monitor -> number of records judged by the detector in `detectors`.
        detectors: monitor -> the detector of `judged`: its id, and when it became active.
    """

    since: datetime
    until: datetime
    renew_at: float
    scored: Counter[str]
    judged: Counter[str] = field(default_factory=Counter)
    detectors: dict[str, tuple[int, datetime]] = field(default_factory=dict)


class LedgerSums:
    """The numbers of scored and judged records of all monitors, kept between two requests."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None
        self._lock = Lock()

    def read(
        self,
        connection: sa.Connection,
        active: Mapping[str, StoredDetector],
        since: datetime,
        now: datetime,
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return (monitor -> records scored since a time, monitor -> records judged).

        Records are counted as judged if the active detector judged them.

        Args:
            connection: an open connection.
            active: monitor -> active detector.
            since: begin of the period in which scored records are counted.
            now: the present time.
        """
        with self._lock:
            settled = max(since, now - UNSETTLED)
            kept = self._kept
            if kept is None or time.monotonic() >= kept.renew_at or not kept.since <= since:
                kept = self._kept = _Kept(
                    since=since,
                    until=settled,
                    renew_at=time.monotonic() + RENEW_SECONDS,
                    scored=_sums(connection, SCORED, since, settled),
                )
            self._advance(connection, kept, since, max(settled, kept.until))
            self._judge(connection, kept, active)
            scored, judged = kept.scored.copy(), kept.judged.copy()
            until = kept.until
        scored.update(_sums(connection, SCORED, until, None))
        lately = judged_by_active(since=until)
        just_now = [name for name, detector in active.items() if detector.state_at > until]
        for name in just_now:  # runs that are settled were not its own
            judged[name] = 0
        judged.update({name: int(total or 0) for name, total in connection.execute(lately)})
        return scored, judged

    def _advance(
        self, connection: sa.Connection, kept: _Kept, since: datetime, until: datetime
    ) -> None:
        """Move the begin and the end of the settled rows."""
        if since > kept.since:
            kept.scored.subtract(_sums(connection, SCORED, kept.since, since))
            kept.since = since
        if until > kept.until:
            kept.scored.update(_sums(connection, SCORED, kept.until, until))
            kept.judged.update(_sums(connection, JUDGED, kept.until, until))
            kept.until = until

    def _judge(
        self, connection: sa.Connection, kept: _Kept, active: Mapping[str, StoredDetector]
    ) -> None:
        """Sum the judged records of detectors that became active since the last call."""
        new = [
            name
            for name, detector in active.items()
            if kept.detectors.get(name) != (detector.id, detector.state_at)
        ]
        for start in range(0, len(new), KEYS_AT_ONCE):
            some = new[start : start + KEYS_AT_ONCE]
            query = judged_by_active(until=kept.until).where(runs.c.monitor.in_(some))
            for name in some:
                kept.judged[name] = 0
            for name, total in connection.execute(query):
                kept.judged[name] = int(total or 0)
            kept.detectors |= {
                name: (active[name].id, active[name].state_at)
                for name in some
                if active[name].state_at <= kept.until  # else `_advance` would add earlier runs
            }


def _between(since: datetime, until: datetime | None) -> list[sa.ColumnElement[bool]]:
    begun = [runs.c.job == Job.SCORE.value, runs.c.started_at >= since]
    return begun if until is None else [*begun, runs.c.started_at < until]


def _sums(
    connection: sa.Connection,
    column: sa.ColumnElement[int],
    since: datetime,
    until: datetime | None,
) -> Counter[str]:
    """Return monitor -> sum over the runs of all monitors that started in a period."""
    # An expression, so that the database reads the index of the times and not that of the monitors.
    name = sa.func.coalesce(runs.c.monitor, "")
    query = sa.select(name, sa.func.sum(column)).where(*_between(since, until)).group_by(name)
    return Counter({name: int(total or 0) for name, total in connection.execute(query)})


def judged_by_active(
    *, since: datetime | None = None, until: datetime | None = None
) -> sa.Select[Any]:
    """Return the query for (monitor, number of records that its active detector has judged).

    With `since` and `until`, only runs that started in this period are counted. With `since`, the
    database reads the index of the times and not that of the monitors.
    """
    began = sa.func.coalesce(detectors.c.state_at, detectors.c.trained_at)
    is_active = detectors.c.state == DetectorState.ACTIVE.value
    name = runs.c.monitor if since is None else sa.func.coalesce(runs.c.monitor, "")
    query = (
        sa.select(name, sa.func.sum(JUDGED))
        .join(detectors, sa.and_(detectors.c.monitor == name, is_active))
        # An earlier detector judged before this time.
        .where(runs.c.job == Job.SCORE.value, runs.c.started_at >= began)
        .group_by(name)
    )
    if since is not None:
        query = query.where(runs.c.started_at >= since)
    return query if until is None else query.where(runs.c.started_at < until)
