"""A guessed monitor for each job of a Prometheus server, with queries for the job's metrics."""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from statistics import median

from pydantic import ValidationError

from aemon.clock import format_duration
from aemon.errors import SourceConfigError
from aemon.sources.guesses import MOST_GUESSED, Guess, Guesses, monitor_name
from aemon.sources.prometheus.asking import Server
from aemon.sources.prometheus.settings import PrometheusSource

MOST_QUERIES = 20
_LOOK_SECONDS = 600
_USUAL_PAUSE = 60.0  # seconds; Prometheus's default
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600)
_NO_SIGNAL = re.compile(r".*(_bucket|_created|_info|_timestamp_seconds|_start_time_seconds)")
_OF_THE_RUNTIME = re.compile(r"(go|promhttp|scrape|python|process|net_conntrack)_")
_COUNTER = re.compile(r"(.+)_(total|count|sum)")
_ENTITY = "instance"


def guess_jobs(url: str) -> Guesses:
    """Return a monitor for each scraped job, the largest jobs first.

    Raises:
        SourceError: the server cannot be reached.
        SourceConfigError: the server is not a Prometheus, or it scrapes nothing.
    """
    try:
        settings = PrometheusSource(url=url, queries={"up": "up"})
    except ValidationError as error:
        text = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SourceConfigError(f"the address {text}") from None
    with closing(Server(settings)) as server:
        sizes = _by_label(server, "count by (job) (up)", "job")
        if not sizes:
            raise SourceConfigError(
                f"Prometheus at {settings.url}: the server scrapes nothing (no series of up)",
                todo="write the queries by hand: `aemon init` shows all keys",
            )
        jobs = sorted(sizes, key=lambda job: (-sizes[job], job))
        found: list[Guess] = []
        for job in jobs[:MOST_GUESSED]:
            taken = [one.monitor for one in found]
            found.append(_of_job(server, settings.url, job, taken))
    return Guesses(monitors=tuple(found), left=tuple(jobs[MOST_GUESSED:]))


def _of_job(server: Server, url: str, job: str, taken: Sequence[str]) -> Guess:
    chosen = _quoted(job)
    targets = _by_label(server, f"count by ({_ENTITY}) (up{{job={chosen}}})", _ENTITY)
    pause = _scraped_every(server, chosen, min(targets, default=""))
    step = next((one for one in _STEPS if one >= 0.9 * pause), _STEPS[-1])
    series = _by_label(server, f"count by (__name__) ({{job={chosen}}})", "__name__")
    queries = _queries(series, chosen, len(targets), window=max(60, 4 * step))
    shown = dict(list(queries.items())[:MOST_QUERIES])
    notes = []
    if len(queries) > len(shown):
        notes.append(f"{len(queries) - len(shown)} further metrics are left out")
    return Guess(
        monitor=monitor_name(job.replace(".", "_"), taken),
        source={
            "kind": "prometheus", "url": url, "step": format_duration(timedelta(seconds=step)),
            "entity": _ENTITY, "queries": shown,
        },
        because={
            "step": f"scraped every {pause:.0f} s",
            "entity": f"{len(targets)} target{'' if len(targets) == 1 else 's'} of the job {job}",
        },
        score_every=timedelta(seconds=max(30, step)),
        notes=tuple(notes),
    )  # fmt: skip


def _scraped_every(server: Server, job: str, target: str) -> float:
    """Return the usual pause between two scrapes of a target, in seconds."""
    selector = f"up{{job={job}, {_ENTITY}={_quoted(target)}}}[{_LOOK_SECONDS}s]"
    moments = server.moments(selector)
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    return median(pauses) if pauses else _USUAL_PAUSE


def _queries(series: dict[str, float], job: str, targets: int, *, window: int) -> dict[str, str]:
    """Return queries for metrics: the value of a gauge, the rate of a counter, a histogram's mean.

    Args:
        series: metric -> number of its series.
        job: the name of the job, quoted for PromQL.
        targets: number of targets that are scraped.
        window: the range of `rate`, in seconds.
    """
    names = sorted(
        (name for name in series if not _NO_SIGNAL.fullmatch(name)),
        key=lambda name: (bool(_OF_THE_RUNTIME.match(name)), name),
    )
    queries = {}
    for name in names:
        metric = f"{name}{{job={job}}}"
        counter = _COUNTER.fullmatch(name)
        if counter is None:
            single = series[name] <= targets
            queries[name] = metric if single else f"avg by ({_ENTITY}) ({metric})"
            continue
        rate = f"sum by ({_ENTITY}) (rate({metric}[{window}s]))"
        if counter[2] != "sum" or f"{counter[1]}_count" not in series:
            queries[counter[1] if counter[2] == "total" else name] = rate
            continue
        count = f"{counter[1]}_count{{job={job}}}"
        queries[f"{counter[1]}_mean"] = f"{rate} / sum by ({_ENTITY}) (rate({count}[{window}s]))"
    return queries


def _by_label(server: Server, query: str, label: str) -> dict[str, float]:
    """Return the current result of a query: value of the label -> number."""
    return {labels[label]: value for labels, value in server.now(query) if labels.get(label)}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
