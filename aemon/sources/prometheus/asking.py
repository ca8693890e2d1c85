"""Asking a server: the time, ranges of steps, and where there is anything at all."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlencode

from aemon.errors import SourceConfigError, SourceError
from aemon.sources.prometheus.answers import (
    Answer,
    TooMuchError,
    answer_of,
    date_of,
    place,
    unreachable,
)
from aemon.sources.prometheus.connections import Connections, Reply, TooLargeError
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.prometheus.steps import Steps
from aemon.threads import thread_errors

AT_ONCE = 6
"""Queries asked at once: a server evaluates 20 at most by default, and others ask, too."""

MOST_POINTS = 11_000
"""Steps of one query: Prometheus refuses more."""

COMBINED_STEPS, MOST_COMBINED = 60, 200
"""A short range of so many queries is asked in one: putting series together costs the server some
time for each query and step, and a request costs more than that for few steps only."""

_NUMBER = "aemon_query"

_Made = TypeVar("_Made")


class Server:
    """A server that answers PromQL."""

    def __init__(self, settings: PrometheusSource) -> None:
        self._settings = settings
        self._connections: Connections | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._as_get = False
        self._combines = True

    def time(self) -> datetime:
        """Return the server's time, to the second and not later than it is.

        Raises:
            SourceError: it cannot be reached, or does not say its time.
            SourceConfigError: it refuses the credentials, or is no Prometheus.
        """
        reply = self._reply("query", {"query": "1"}, "the time")
        answer_of(reply, "the time", self._settings)
        date = date_of(reply)
        if date is None:
            raise SourceError(f"{place(self._settings)}: it does not say its time (header Date)")
        return date

    def now(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return what a query gives at the moment: the labels and the value of each series.

        Raises:
            AemonError: as `ranges`.
        """
        answer = self._look(query)
        with self._understood("a look"):
            return [(dict(one["metric"]), float(one["value"][1])) for one in answer.series]

    def moments(self, selector: str) -> list[float]:
        """Return the times, in seconds since 1970, of the samples that a range selector finds.

        Raises:
            AemonError: as `ranges`.
        """
        answer = self._look(selector)
        with self._understood("a look"):
            return sorted(float(moment) for one in answer.series for moment, _ in one["values"])

    def _look(self, query: str) -> Answer:
        reply = self._reply("query", {"query": query}, "a look")
        return answer_of(reply, "a look", self._settings)

    def ranges(
        self, queries: Mapping[str, str], steps: Steps, made_of: Callable[[str, Answer], _Made]
    ) -> list[_Made]:
        """Ask queries for a range of steps, some at once; return what is made of each answer.

        Args:
            queries: by name.
            steps: which; at most `MOST_POINTS`.
            made_of: called with the name of a query and its answer, in the thread that asks.

        Raises:
            SourceError: trying again may help.
            SourceConfigError: a person must change something.
            TooMuchError: fewer steps may do.
            ResourceError: the machine has no thread to give.
        """
        if 1 < len(queries) <= MOST_COMBINED and steps.count <= COMBINED_STEPS and self._combines:
            try:
                answers = self._combined(queries, steps)
            except (SourceConfigError, TooMuchError):
                made = self._apart(queries, steps, made_of)  # tells which query is at fault
                self._combines = False
                return made
            return [self._made("all queries", made_of, name, answers[name]) for name in queries]
        return self._apart(queries, steps, made_of)

    def _apart(
        self, queries: Mapping[str, str], steps: Steps, made_of: Callable[[str, Answer], _Made]
    ) -> list[_Made]:
        """Ask each query by itself, some at once."""

        def asked(name: str) -> _Made:
            what = f"query {name}"
            return self._made(what, made_of, name, self._range(what, queries[name], steps))

        if len(queries) == 1:
            return [asked(name) for name in queries]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prometheus")
        with thread_errors("the queries of a Prometheus source"):
            waiting = [self._pool.submit(asked, name) for name in queries]
        try:
            return [one.result() for one in waiting]
        finally:
            for one in waiting:
                one.cancel()

    def _combined(self, queries: Mapping[str, str], steps: Steps) -> dict[str, Answer]:
        """Ask all queries in one: their series are told apart by a label that numbers them."""
        # A line end ends a comment that a query may end with.
        parts = (
            f'label_replace((\n{query}\n), "{_NUMBER}", "{number}", "", "")'
            for number, query in enumerate(queries.values())
        )
        answer = self._range("all queries", " or ".join(parts), steps)
        series: list[list[dict[str, Any]]] = [[] for _ in queries]
        with self._understood("all queries"):
            for one in answer.series:
                labels = dict(one["metric"])
                series[int(labels.pop(_NUMBER))].append({**one, "metric": labels})
        return {
            name: Answer(series=found, warnings=answer.warnings)
            for name, found in zip(queries, series, strict=True)
        }

    def _made(
        self, what: str, made_of: Callable[[str, Answer], _Made], name: str, answer: Answer
    ) -> _Made:
        with self._understood(what):
            return made_of(name, answer)

    @contextmanager
    def _understood(self, what: str) -> Iterator[None]:
        """Turn the failure to read an answer that is not what Prometheus gives into our error."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            raise SourceError(
                f"{place(self._settings)}: {what}: the answer is not what Prometheus gives",
                todo="look at it with curl: a proxy in between may change it",
            ) from None

    def holds(self, queries: Mapping[str, str], steps: Steps) -> list[int] | None:
        """Return at which of some steps any query gives anything, as their places from 0.

        None where the server cannot tell at once, as of queries that give a single number.

        Raises:
            SourceError: trying again may help.
            SourceConfigError: a person must change something.
        """

        def places(_name: str, answer: Answer) -> set[int]:
            moments = [moment for one in answer.series for moment, _ in one.get("values", ())]
            return {place for moment in moments if (place := steps.place_of(moment)) is not None}

        # A line end ends a comment that the query may end with.
        asked = {name: f"group((\n{query}\n))" for name, query in queries.items()}
        try:
            return sorted(set().union(*self.ranges(asked, steps, places)))
        except (SourceConfigError, TooMuchError):
            return None

    def close(self) -> None:
        """Close all connections and threads; whoever waits for an answer gets an error."""
        connections, self._connections = self._connections, None
        pool, self._pool = self._pool, None
        if connections is not None:
            connections.close()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _range(self, what: str, query: str, steps: Steps) -> Answer:
        settings = self._settings
        form = {
            "query": query,
            "start": str(steps.first),
            "end": str(steps.last),
            "step": str(steps.seconds),
            "timeout": f"{settings.timeout.total_seconds():g}s",
            "nocache": "1",  # to VictoriaMetrics: what came late must be seen
        }
        if not settings.partial:  # of Thanos, and of VictoriaMetrics; others take no notice
            form |= {"partial_response": "false", "deny_partial_response": "1"}
        return answer_of(self._reply("query_range", form, what), what, settings)

    def _reply(self, path: str, form: dict[str, Any], what: str) -> Reply:
        settings = self._settings
        connections = self._connections = self._connections or Connections(settings)
        encoded = urlencode(form).encode()
        try:
            reply = connections.post(path, encoded, as_get=self._as_get)
            if reply.status == HTTPStatus.METHOD_NOT_ALLOWED and not self._as_get:
                self._as_get = True  # a proxy that lets nobody post
                reply = connections.post(path, encoded, as_get=True)
        except TooLargeError:
            raise TooMuchError(
                SourceConfigError(
                    f"{place(settings)}: {what}: the answer is larger than aemon reads at once",
                    todo="aggregate in the query, so that it gives fewer series",
                )
            ) from None
        except (OSError, HTTPException, ValueError) as error:
            raise unreachable(error, what, settings) from None
        return reply
