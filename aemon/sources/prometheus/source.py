"""PromQL range queries as a replayable source: a record for each step, or step and entity."""

import math
import time
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd

from aemon.clock import Clock, format_duration
from aemon.frame import Roles
from aemon.records import Watermark
from aemon.sources.prometheus.answers import Answer, TooMuchError, place
from aemon.sources.prometheus.asking import MOST_POINTS, Server
from aemon.sources.prometheus.marks import entity_of, mark_behind, time_of_mark, up_to, without_read
from aemon.sources.prometheus.records import ENTITY, KEY, TIME, Series, series_of, table_of
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.prometheus.steps import Steps, step_at, time_of
from aemon.sources.source import Fetched

GROWTH = 8
"""A query asks for at most this many times as many steps as the previous query.

Its steps may hold many more entities.
"""

REPORTED_GAP, REPORTED_STEPS = timedelta(hours=1), 10
"""A gap without data after the watermark is reported if it is longer than this time, and also
longer than this number of steps."""

REPORTED_SKEW = timedelta(seconds=10)

UNVERIFIED = (
    "the server's certificate is not verified: an attacker between aemon and the server can read "
    "the credentials and answer in the server's place; set ca_file to the certificates to trust"
)

KNOWN_SECONDS = 600.0
"""Seconds for which the first step with data is cached; a cold start needs this step often."""


@dataclass
class _Reading:
    """The results that one call of `fetch` or `newest` has read so far.

    Attributes:
        tables: tables of records, in the order of time.
        count: number of records in all tables.
        warnings: warnings for the user.
    """

    tables: list[pd.DataFrame] = field(default_factory=list)
    count: int = 0
    warnings: list[str] = field(default_factory=list)

    def add(self, table: pd.DataFrame, *, first: bool = False) -> None:
        """Add a table after the other tables; with `first`, before the other tables."""
        self.tables.insert(0 if first else len(self.tables), table)
        self.count += len(table)


class PrometheusQueries:
    """Queries evaluated at the multiples of a step, read in the order of time and entity.

    A step is read once `delay` has passed since its time, by both the server's clock and the clock
    of this machine. By then the server has the samples of the step, and a second read of the step,
    such as after a restart, returns the same records. Samples that reach the server after `delay`
    may belong to records that were read before: see `hides`.
    """

    in_order_of_arrival = False

    def __init__(self, settings: PrometheusSource, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._server = Server(settings)
        self._seconds = int(settings.step.total_seconds())
        self._most_steps = MOST_POINTS  # fewer if the server refuses this number of steps
        self._last_count = 0  # number of steps in the last query
        self._oldest = (0, -math.inf)  # the first step with data, and the time of the search
        self._density = 1.0  # records in each step of the last read

    @property
    def roles(self) -> Roles:
        """The columns that identify a record."""
        return Roles(time=TIME, key=KEY, entity=ENTITY if self._settings.entity else None)

    def describe(self) -> str:
        """Return a short description: the server, the number of queries and their step."""
        settings = self._settings
        count = len(settings.queries)
        queries = f"{count} quer{'y' if count == 1 else 'ies'}"
        every = f"every {format_duration(settings.step)}"
        by = f", by {settings.entity}" if settings.entity else ""
        unverified = ", whose certificate is not verified" if settings.insecure_skip_verify else ""
        return f"{place(settings)}{unverified}: {queries} {every}{by}"

    def hides(self, mark: Watermark | None) -> bool:  # noqa: ARG002 -- of any watermark
        """Return True: an interrupted remote write, or a rule, may add missing samples later."""
        return True

    def recognises(self, mark: Watermark) -> bool:
        """Return whether a watermark's position names the last entity of a step."""
        return entity_of(mark) is not None

    def fetch(self, after: Watermark | None, limit: int) -> Fetched:
        """Return at most `limit` records after a watermark, oldest first.

        Without a watermark (None), reading begins at the first step of `history` that has data.

        Raises:
            SourceError: the server cannot be reached, or cannot answer at the moment.
            SourceConfigError: the server refuses a query or the credentials, or a cell has several
                values.
        """
        read = _Reading()
        end = self._end(read)
        begin = start = self._oldest_known(end) if after is None else self._following(after)
        must_look = after is None
        if after is None and self._settings.insecure_skip_verify:
            read.warnings.append(UNVERIFIED)
        while start <= end and read.count <= limit:
            if must_look:
                found = self._next_with_data(start, end)
                if found is None:
                    break
                if after is None and not read.count:
                    self._oldest = (found, time.monotonic())
                start = found
                if after is not None and not read.count:
                    self._report_gap(begin, start, read)
            steps = self._piece(start, end, limit + 1 - read.count)
            table = without_read(self._table(steps, read), after)
            read.add(table)
            must_look = table.empty and steps.last < end
            start = steps.last + self._seconds
        return self._fetched(read, after, limit)

    def newest(self, until: Watermark | None, limit: int) -> Fetched:
        """Return the newest `limit` records up to a watermark (None: up to now), oldest first.

        Raises:
            AemonError: the same errors as `fetch`.
        """
        read = _Reading()
        end = self._end(read)
        first = self._first(end)
        if until is not None and until.event_time is not None:
            end = step_at(until.event_time, self._seconds)
            first = min(first, end - (self._history_steps() - 1) * self._seconds)
        must_look = until is None
        while end >= first and read.count < limit:
            if must_look:
                found = self._last_with_data(first, end)
                if found is None:
                    break
                end = found
            steps = self._piece_up_to(first, end, limit - read.count)
            table = up_to(self._table(steps, read), until)
            read.add(table, first=True)
            must_look = table.empty
            end = steps.first - self._seconds
        table = self._joined(read)
        table = table.iloc[len(table) - min(limit, len(table)) :].reset_index(drop=True)
        mark = until or (mark_behind(table) if len(table) else None)
        return _as_fetched(table, mark, read, more=False)

    def count(self, limit: int) -> int:
        """Return how many records there are; stop counting at `limit`."""
        return len(self.fetch(None, limit).table)

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    def _end(self, read: _Reading) -> int:
        """Return the last step that is at least `delay` old; warn if the two clocks differ."""
        local, remote = self._clock(), self._server.time()
        ahead = remote - local
        if abs(ahead) > REPORTED_SKEW:
            way = "ahead of" if ahead > timedelta(0) else "behind"
            rounded = timedelta(seconds=round(abs(ahead).total_seconds()))
            read.warnings.append(
                f"the clock of the server is {format_duration(rounded)} {way} this machine's clock"
            )
        return step_at(min(local, remote) - self._settings.delay, self._seconds)

    def _history_steps(self) -> int:
        return max(1, int(self._settings.history / self._settings.step))

    def _first(self, end: int) -> int:
        return max(0, end - (self._history_steps() - 1) * self._seconds)

    def _oldest_known(self, end: int) -> int:
        """Return the later of the history's first step and the first step known to have data."""
        step, found_at = self._oldest
        known = step if time.monotonic() - found_at < KNOWN_SECONDS else 0
        return max(self._first(end), known)

    def _following(self, after: Watermark) -> int:
        """Return the step to read next.

        With entities this is the step of the watermark, which may hold further entities. Otherwise
        this is the step after the watermark.
        """
        last = step_at(time_of_mark(after), self._seconds)
        return last if self._settings.entity else last + self._seconds

    def _steps_for(self, records: int) -> int:
        """Return the number of steps that hold about `records` records."""
        count = min(math.ceil(records / max(self._density, 1.0)) + 1, self._most_steps)
        if self._settings.entity:
            count = min(count, max(1, GROWTH * self._last_count))
        return max(1, count)

    def _piece(self, start: int, end: int, records: int) -> Steps:
        left = (end - start) // self._seconds + 1
        return Steps(first=start, count=min(left, self._steps_for(records)), seconds=self._seconds)

    def _piece_up_to(self, first: int, end: int, records: int) -> Steps:
        count = min((end - first) // self._seconds + 1, self._steps_for(records))
        return Steps(first=end - (count - 1) * self._seconds, count=count, seconds=self._seconds)

    def _table(self, steps: Steps, read: _Reading) -> pd.DataFrame:
        """Return the records of some steps; read each half if the server refuses the whole."""
        try:
            table = self._queried(steps, read)
        except TooMuchError as error:
            if steps.count == 1:
                raise error.error from None
            self._most_steps = half = steps.count // 2
            rest = steps.count - half
            later = Steps(
                first=steps.first + half * steps.seconds, count=rest, seconds=steps.seconds
            )
            earlier = Steps(first=steps.first, count=half, seconds=steps.seconds)
            parts = [self._table(earlier, read), self._table(later, read)]
            return pd.concat([one for one in parts if len(one)] or parts[:1], ignore_index=True)
        self._last_count = steps.count
        if len(table):
            self._density = len(table) / table[KEY].nunique()
        return table

    def _queried(self, steps: Steps, read: _Reading) -> pd.DataFrame:
        settings = self._settings

        def made_of(name: str, answer: Answer) -> tuple[list[Series], tuple[str, ...]]:
            return list(series_of(name, answer, steps, settings)), answer.warnings

        found = self._server.ranges(settings.queries, steps, made_of)
        for _, warnings in found:
            read.warnings += warnings
        return table_of([one for series, _ in found for one in series], steps, settings)

    def _next_with_data(self, start: int, end: int) -> int | None:
        """Return the first step from `start` on that has data; None if no step has data."""
        while start <= end:
            count = min((end - start) // self._seconds + 1, MOST_POINTS)
            steps = Steps(first=start, count=count, seconds=self._seconds)
            places = self._server.holds(self._settings.queries, steps)
            if places is None:
                return start
            if places:
                return start + places[0] * self._seconds
            start = steps.last + self._seconds
        return None

    def _last_with_data(self, first: int, end: int) -> int | None:
        """Return the last step up to `end` that has data; None if no step has data."""
        while end >= first:
            count = min((end - first) // self._seconds + 1, MOST_POINTS)
            steps = Steps(
                first=end - (count - 1) * self._seconds, count=count, seconds=self._seconds
            )
            places = self._server.holds(self._settings.queries, steps)
            if places is None:
                return end
            if places:
                return steps.first + places[-1] * self._seconds
            end = steps.first - self._seconds
        return None

    def _report_gap(self, begin: int, start: int, read: _Reading) -> None:
        gap = timedelta(seconds=start - begin)
        if gap > max(REPORTED_GAP, REPORTED_STEPS * self._settings.step):
            read.warnings.append(
                f"there is no data from {time_of(begin):%Y-%m-%d %H:%M:%S} to "
                f"{time_of(start):%Y-%m-%d %H:%M:%S} UTC: no data was recorded, or the server has "
                "deleted the data since (retention)"
            )

    def _joined(self, read: _Reading) -> pd.DataFrame:
        filled = [table for table in read.tables if len(table)]
        if not filled:
            nothing = Steps(first=0, count=0, seconds=self._seconds)
            return read.tables[0] if read.tables else table_of([], nothing, self._settings)
        return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)

    def _fetched(self, read: _Reading, after: Watermark | None, limit: int) -> Fetched:
        table = self._joined(read)
        more = len(table) > limit
        table = table.iloc[:limit]
        return _as_fetched(table, mark_behind(table) if len(table) else after, read, more=more)


def _as_fetched(
    table: pd.DataFrame, mark: Watermark | None, read: _Reading, *, more: bool
) -> Fetched:
    times = np.array([text[:-1] for text in table[TIME]], dtype="datetime64[us]")
    warnings = tuple(dict.fromkeys(read.warnings))
    return Fetched(table=table, watermark=mark, more=more, warnings=warnings, times=times)
