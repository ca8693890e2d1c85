"""Fixtures for every test."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aemon.config.schema import MonitorSettings
from aemon.lifecycle import training_run
from aemon.store.engine import open_engine
from aemon.store.store import Store
from aemon.testing.manual_clock import ManualClock
from tests import readings
from tests.lacking import lacking
from tests.made_stores import postgres_with_tables, sqlite_with_tables  # noqa: F401 -- fixtures
from tests.mariadb import mariadb_server, mariadb_url  # noqa: F401 -- fixtures
from tests.postgres import copy_database, postgres_server, postgres_url  # noqa: F401 -- fixtures
from tests.processes import insert, make_table
from tests.readings import LEARNED
from tests.remembered_trainings import remembered

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def equal_trainings_once() -> Iterator[None]:
    """The same records, settings and seed give the same detector: it is learned once a session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "learn", remembered(training_run.learn))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets beside the checkout."""
    if not SHARED.is_dir():
        lacking("the public data sets in ../shared/data")
    return SHARED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty results database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/aemon.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(
    request: pytest.FixtureRequest, store_url: str, clock: ManualClock, tmp_path: Path
) -> Iterator[Store]:
    """A store with its tables made and the monitor `pumps` in it."""
    if store_url.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("sqlite_with_tables"), tmp_path / "aemon.db")
    else:
        copy_database(store_url, request.getfixturevalue("postgres_with_tables"))
    store = Store(open_engine(store_url), clock)
    store.add_monitors(["pumps"])
    yield store
    store.close()


@pytest.fixture
def database(tmp_path) -> Path:
    """A table with the records a first detector learns from."""
    path: Path = tmp_path / "plant.db"
    make_table(path, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(path, "readings", readings.rows(LEARNED))
    return path


@pytest.fixture
def settings(database) -> MonitorSettings:
    return MonitorSettings.model_validate(
        {
            "source": {
                "kind": "sql",
                "url": f"sqlite:///{database}",
                "table": "readings",
                "time": "ts",
                "key": "id",
            },
            "score_every": "1s",
            "min_records": LEARNED,
            "chunk_records": 40,
            "detector": {"steps": 60, "members": 1},
            "threshold": {"false_alarm_rate": 0.01},
        }
    )
