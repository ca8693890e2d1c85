"""Stores pushed records; a request is answered after its records are stored."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.errors import NotFoundError, RefusedError
from aemon.frame import Identified, identify
from aemon.reading.open_buckets import OpenBuckets
from aemon.reading.unreadable import WHY
from aemon.sources.push.batches import Batch, Problem
from aemon.sources.push.remote_write import SampleReader
from aemon.sources.push.settings import PushSource
from aemon.sources.push.source import ENTITY, KEY, TIME, roles_of
from aemon.store.inbox.kept_records import REDELIVERED, Beside, keep_history
from aemon.store.inbox.rejected_records import Rejected
from aemon.store.store import Row, Store
from aemon.texts import cut

MOST_PROBLEMS = 100  # problems of one request that are reported one by one
MOST_SHOWN = 200  # characters of time, key and entity in a message
REFUSED = "refused"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # only the inbox finishes records of several parts
EXCESS_SHARE = 0.01  # share of `keep` that may be exceeded before the oldest records are dropped


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """The result of a request with records.

    Attributes:
        monitor: name of the monitor that the records were pushed to.
        accepted: number of new records, which are now in the store.
        duplicates: number of records that were already in the store with equal values.
        rejected: reason -> number of records that cannot be kept.
        problems: the first `MOST_PROBLEMS` problems of single records.
        partly: problems of single columns; the cells of these columns are missing in the accepted
            records.
    """

    monitor: str
    accepted: int
    duplicates: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    partly: tuple[Problem, ...] = ()


class PushDesk:
    """The writer of pushed records into the inboxes of monitors.

    Every daemon on the store can write the records, even if another replica watches the monitor.

    Args:
        store: the store.
        monitors: a function that returns the monitors of the present configuration.
        clock: a function that returns the time, which is used as the time of arrival.
    """

    def __init__(
        self, store: Store, monitors: Callable[[], Mapping[str, MonitorSettings]], clock: Clock
    ) -> None:
        self._store = store
        self._monitors = monitors
        self._clock = clock
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._samples: dict[str, tuple[PushSource, SampleReader]] = {}
        self._committed = self._durable = 0  # numbers of requests: committed, and safe on the disk
        self._synchronising = threading.Lock()
        self._excess: dict[str, int] = {}  # monitor -> records written since the last drop
        self._buckets: dict[str, tuple[PushSource, OpenBuckets]] = {}

    def accept(self, monitor: str, batch: Batch, request: str | None) -> Pushed:
        """Store the records of a request; return after the records are on the disk.

        Args:
            monitor: name of the monitor.
            batch: the records.
            request: identifies the request, so that a repeated request adds no records; None
                without an identity.

        Raises:
            NotFoundError: no monitor with this name accepts pushed records.
            StoreError: the database fails; no record of the request is stored.
        """
        settings = self._settings(monitor)
        rows, problems = self._read(settings.source, batch, request)
        beside = Beside(
            rejected=tuple(
                Rejected(reason=problem.reason, record=text) for problem, text in problems
            ),
            by_arrival=settings.source.time is None or None in (batch.times or ()),
            finish_before=_LONG_AGO if batch.is_parts else None,
        )
        keep = max(settings.max_training_records, settings.min_records or 0)
        with self._writing:
            self._open_buckets(monitor, settings.source)
            due = self._excess.get(monitor, keep) >= EXCESS_SHARE * keep
            new, counts = self._keep(monitor, rows, keep if due else None, beside)
            self._excess[monitor] = new + (0 if due else self._excess.get(monitor, keep))
            self._committed += 1
            own = self._committed
        self._make_durable(own)
        return Pushed(
            monitor=monitor,
            accepted=new,
            duplicates=counts.pop(REDELIVERED, 0),
            rejected=dict(counts),
            problems=tuple(problem for problem, _ in problems[:MOST_PROBLEMS]),
            partly=tuple(batch.partly[:MOST_PROBLEMS]),
        )

    def read_samples(self, monitor: str, body: bytes) -> Batch:
        """Return the parts of records in a request of Prometheus remote write.

        Args:
            monitor: name of the monitor.
            body: uncompressed body of the request.

        Raises:
            NotFoundError: no monitor with this name accepts samples.
            UnreadableBodyError: the body is not a request of remote write.
        """
        source: PushSource = self._settings(monitor).source
        if source.remote_write is None:
            raise NotFoundError(
                f"the monitor {monitor!r} takes no samples of Prometheus",
                todo="add remote_write to its source, for example remote_write: {}",
            )
        with self._reading:
            known = self._samples.get(monitor)
            if known is None or known[0] != source:
                known = (source, SampleReader(source, source.remote_write))
                self._samples[monitor] = known
            return known[1].read(body)

    def _make_durable(self, own: int) -> None:
        """Wait until a commit is on the disk; requests that wait together share one write.

        Args:
            own: number of the commit, as counted in `_committed`.
        """
        with self._synchronising:
            if self._durable < own:
                until = self._committed
                self._store.make_durable()
                self._durable = until

    def _settings(self, monitor: str) -> Any:
        monitors = self._monitors()
        takes = sorted(
            name for name, known in monitors.items() if isinstance(known.source, PushSource)
        )
        if monitor not in takes:
            known = f"monitors that accept records: {', '.join(takes)}" if takes else ""
            known = known or "no monitor accepts records"
            problem = "takes no pushed records" if monitor in monitors else "is not configured"
            raise NotFoundError(
                f"the monitor {monitor!r} {problem}",
                todo=f"its source must be of kind push; {known}",
            )
        return monitors[monitor]

    def _read(
        self, settings: PushSource, batch: Batch, request: str | None
    ) -> tuple[list[Row], list[tuple[Problem, str]]]:
        """Split a batch into (rows of the inbox, problems).

        Each problem comes with the text of its record.
        """
        problems = [(problem, batch.texts.get(problem.line, "")) for problem in batch.problems]
        if not batch.records:
            return [], problems
        found, given = self._identify(settings, batch, request)
        bad: set[int] = set()
        for reason, which in found.unreadable.items():
            for at in np.flatnonzero(which).tolist():
                bad.add(at)
                problem = f"the record has {WHY[reason]}: {_shown(given, at)}"
                described = Problem(line=batch.lines[at], reason=reason, problem=problem)
                text = json.dumps({**_named(given, at), **batch.records[at]}, default=str)
                problems.append((described, text))
        rows: list[Row] = [
            {
                "entity": entity,
                "record_key": key,
                "event_time": time.replace(tzinfo=UTC),
                "record": record,
            }
            for at, (entity, key, time, record) in enumerate(
                zip(
                    found.entities.tolist(),
                    found.keys.tolist(),
                    found.times.tolist(),
                    batch.records,
                    strict=True,
                )
            )
            if at not in bad
        ]
        return rows, problems

    def _identify(
        self, settings: PushSource, batch: Batch, request: str | None
    ) -> tuple[Identified, pd.DataFrame]:
        """Remove time, key and entity from the records of a batch, in place.

        Returns:
            The identities as they are read; and a table (N, 3) of time, key and entity as given.
        """
        roles, records = roles_of(settings), batch.records
        now = self._clock()
        if settings.time is None or batch.times is not None:
            given = batch.times or [None] * len(records)
            column = [
                now + timedelta(microseconds=at) if time is None else time
                for at, time in enumerate(given)
            ]
        else:
            column = [record.pop(settings.time, None) for record in records]
        times = _plain_times(column) if roles.time_format is None else None
        if times is None:
            times = roles.times_of(pd.Series(column))
        keys: list[Any]
        if settings.key is not None:
            keys = [record.pop(settings.key, None) for record in records]
        elif request is not None:
            keys = [f"{request}:{line}" for line in batch.lines]
        else:
            keys = np.datetime_as_string(times, "us").tolist()
            if batch.keys is not None:
                keys = [f"{series} {time}" for series, time in zip(batch.keys, keys, strict=True)]
        entities = (
            [record.pop(settings.entity, None) for record in records]
            if settings.entity is not None
            else [""] * len(records)
        )
        named = {
            TIME: pd.Series(column, dtype=object),
            KEY: pd.Series(keys, dtype=object),
            ENTITY: pd.Series(entities, dtype=object),
        }
        table = pd.DataFrame(named)
        return identify(table, roles, times), table

    def _open_buckets(self, monitor: str, source: PushSource) -> None:
        """Prepare the open buckets of a monitor that takes readings, by its present settings."""
        known = self._buckets.get(monitor)
        if known is not None and known[0] == source:
            return
        self._buckets.pop(monitor, None)
        if source.holds_readings:
            self._buckets[monitor] = (source, OpenBuckets(source, self._store, monitor))

    def _keep(
        self, monitor: str, rows: list[Row], keep: int | None, beside: Beside
    ) -> tuple[int, Counter[str]]:
        """Write rows; return (number of new records, reason -> number of rejected records).

        If the database refuses the rows, write each half separately, until the refused records are
        found. These records are stored as rejected.
        """
        buckets = self._buckets.get(monitor)
        try:
            if buckets is not None:
                kept = buckets[1].keep(rows, beside)
            else:
                kept = keep_history(self._store, monitor, rows, keep, beside)
        except RefusedError:
            if not rows:
                raise
        else:
            return kept.new, kept.rejected
        if len(rows) == 1:
            refused = Rejected(reason=REFUSED, record=json.dumps(rows[0]["record"]))
            alone = replace(beside, rejected=(*beside.rejected, refused))
            return self._keep(monitor, [], keep, alone)
        half = len(rows) // 2
        first, counts = self._keep(monitor, rows[:half], None, replace(beside, rejected=()))
        second, more = self._keep(monitor, rows[half:], keep, beside)
        return first + second, counts + more


def _plain_times(column: list[Any]) -> npt.NDArray[np.datetime64] | None:
    """Return times (N,) in UTC if all texts are like 2026-03-01T10:00:00Z, with any offset.

    Return None if a text has another form. Most times have this form. `event_times` reads all
    forms, but takes ten times as long.

    >>> _plain_times(["2026-03-01T10:00:00+01:00"]), _plain_times(["2026-03-01T10:00:00"])
    (array(['2026-03-01T09:00:00.000000'], dtype='datetime64[us]'), None)
    """
    times: list[datetime] = []
    for text in column:
        if type(text) is not str or text[4:5] != "-" or text[7:8] != "-":
            return None
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return None
        if time.tzinfo is None:
            return None
        times.append((time if time.tzinfo is UTC else time.astimezone(UTC)).replace(tzinfo=None))
    return np.array(times, dtype="datetime64[us]")


def _named(given: pd.DataFrame, at: int) -> dict[str, Any]:
    return {str(name).lstrip("$"): given[name].iloc[at] for name in given}


def _shown(given: pd.DataFrame, at: int) -> str:
    return cut(
        ", ".join(f"{name} {value!r}" for name, value in _named(given, at).items()), MOST_SHOWN
    )
