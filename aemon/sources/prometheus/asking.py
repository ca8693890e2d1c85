"""Asks a server for its time, for values at ranges of steps, and for the steps that have data."""

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
"""Number of queries sent at the same time; a server evaluates, by default, 20 for all clients."""

MOST_POINTS = 11_000
"""Maximum number of steps in one query: Prometheus refuses more steps."""

COMBINED_STEPS, MOST_COMBINED = 60, 200
"""Queries are combined into one query up to this number of steps and of queries. To join series,
the server needs time for each query and step, so combining is faster only for few steps."""

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
        """Return the server's time, rounded down to the second.

        Raises:
            SourceError: the server cannot be reached, or its reply has no time.
            SourceConfigError: the server refuses the credentials, or has no Prometheus API.
        """
        reply = self._reply("query", {"query": "1"}, "the time")
        answer_of(reply, "the time", self._settings)
        date = date_of(reply)
        if date is None:
            raise SourceError(
                f"{place(self._settings)}: the answer does not give the time (header Date)"
            )
        return date

    def now(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return the current result of a query: the labels and the value of each series.

        Raises:
            AemonError: the same errors as `ranges`.
        """
        answer = self._look(query)
        with self._understood("a query"):
            return [(dict(one["metric"]), float(one["value"][1])) for one in answer.series]

    def moments(self, selector: str) -> list[float]:
        """Return the times, in seconds since 1970, of the samples that a range selector selects.

        Raises:
            AemonError: the same errors as `ranges`.
        """
        answer = self._look(selector)
        with self._understood("a query"):
            return sorted(float(moment) for one in answer.series for moment, _ in one["values"])

    def _look(self, query: str) -> Answer:
        reply = self._reply("query", {"query": query}, "a query")
        return answer_of(reply, "a query", self._settings)

    def ranges(
        self, queries: Mapping[str, str], steps: Steps, made_of: Callable[[str, Answer], _Made]
    ) -> list[_Made]:
        """Evaluate queries at a range of steps; return one result for each query.

        Several queries are sent at the same time, or are combined into one.

        Args:
            queries: name -> query.
            steps: the range; at most `MOST_POINTS` steps.
            made_of: function that makes the result from the name of a query and its answer.

        Raises:
            SourceError: trying again may help.
            SourceConfigError: a person must change something.
            TooMuchError: fewer steps may work.
            ResourceError: the machine cannot start another thread.
        """
        if 1 < len(queries) <= MOST_COMBINED and steps.count <= COMBINED_STEPS and self._combines:
            try:
                answers = self._combined(queries, steps)
            except (SourceConfigError, TooMuchError):
                made = self._separately(queries, steps, made_of)  # an error then names the query
                self._combines = False
                return made
            return [self._made("all queries", made_of, name, answers[name]) for name in queries]
        return self._separately(queries, steps, made_of)

    def _separately(
        self, queries: Mapping[str, str], steps: Steps, made_of: Callable[[str, Answer], _Made]
    ) -> list[_Made]:
        """Send each query separately, up to `AT_ONCE` queries at the same time."""

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
        """Send all queries as one query; a label of each series then holds its query's number."""
        # A query may end with a comment; a line end closes the comment.
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
        """Raise a `SourceError` if an answer is not in the form of Prometheus."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            raise SourceError(
                f"{place(self._settings)}: {what}: the answer is not in the form of Prometheus",
                todo="look at the answer with curl: a proxy may have changed it",
            ) from None

    def holds(self, queries: Mapping[str, str], steps: Steps) -> list[int] | None:
        """Return the positions, from 0, of the steps at which at least one query has data.

        Return None if the server cannot find these steps, for example because a query returns a
        scalar.

        Raises:
            SourceError: trying again may help.
            SourceConfigError: a person must change something.
        """

        def places(_name: str, answer: Answer) -> set[int]:
            moments = [moment for one in answer.series for moment, _ in one.get("values", ())]
            return {place for moment in moments if (place := steps.place_of(moment)) is not None}

        # The query may end with a comment; a line end closes the comment.
        asked = {name: f"group((\n{query}\n))" for name, query in queries.items()}
        try:
            return sorted(set().union(*self.ranges(asked, steps, places)))
        except (SourceConfigError, TooMuchError):
            return None

    def close(self) -> None:
        """Close all connections and threads; a thread that waits for an answer gets an error."""
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
            "nocache": "1",  # for VictoriaMetrics: its cache may lack late samples
        }
        if not settings.partial:  # for Thanos and VictoriaMetrics; other servers ignore this
            form |= {"partial_response": "false", "deny_partial_response": "1"}
        return answer_of(self._reply("query_range", form, what), what, settings)

    def _reply(self, path: str, form: dict[str, Any], what: str) -> Reply:
        settings = self._settings
        connections = self._connections = self._connections or Connections(settings)
        encoded = urlencode(form).encode()
        try:
            reply = connections.post(path, encoded, as_get=self._as_get)
            if reply.status == HTTPStatus.METHOD_NOT_ALLOWED and not self._as_get:
                self._as_get = True  # a proxy that does not allow POST
                reply = connections.post(path, encoded, as_get=True)
        except TooLargeError:
            raise TooMuchError(
                SourceConfigError(
                    f"{place(settings)}: {what}: the answer is larger than aemon reads at once",
                    todo="aggregate in the query, so that it returns fewer series",
                )
            ) from None
        except (OSError, HTTPException, ValueError) as error:
            raise unreachable(error, what, settings) from None
        return reply
