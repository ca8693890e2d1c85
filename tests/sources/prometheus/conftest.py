"""A real Prometheus that holds what tests write, and what a source makes of it."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.source_kinds import open_replayable
from tests.remote_write import write, written_prometheus

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
STEP = 15
NAMES = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with written_prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


class Plant:
    """Metrics of one test: their names begin with its own, and times are steps since `EPOCH`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t{next(NAMES)}_"
        self.now = EPOCH + timedelta(hours=1)
        self.sources = []

    def write(self, name: str, values, *, first: int = 0, step: int = STEP, **labels: str) -> None:
        """Write values, one each step; None is a scrape that found nothing."""
        samples = [
            (EPOCH.timestamp() + (first + place) * step, value)
            for place, value in enumerate(values)
            if value is not None
        ]
        write(self.url, [({"__name__": self.prefix + name, **labels}, samples)])

    def source(self, queries: dict[str, str], **settings):
        """A source; `~` in a query stands for the prefix of this test's metrics."""
        given = {"url": self.url, "step": f"{STEP}s", "history": "1h", **settings}
        full = {name: query.replace("~", self.prefix) for name, query in queries.items()}
        source = open_replayable(PrometheusSource(queries=full, **given), clock=lambda: self.now)
        self.sources.append(source)
        return source


@pytest.fixture
def plant(server):
    plant = Plant(server.url)
    yield plant
    for source in plant.sources:
        source.close()
