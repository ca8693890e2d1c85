"""Results databases with their tables, made once a session, to be copied for each test."""

from pathlib import Path

import pytest

from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from tests.postgres import empty_database


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file."""
    path: Path = tmp_path_factory.mktemp("made") / "aemon.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: str) -> str:
    """The name of a database on the server."""
    with empty_database(postgres_server, dropped=False) as url:
        _make_tables(url)
    return url.rpartition("/")[2]


def _make_tables(url: str) -> None:
    engine = open_engine(url)
    revisions.prepare(engine)
    engine.dispose()
