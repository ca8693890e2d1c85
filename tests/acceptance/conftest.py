"""Fixtures for tests with real processes."""

import pytest

from tests.plants import Plant, PostgresPlant, SqlitePlant
from tests.replicas import learned, several  # noqa: F401 -- fixtures


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def plant(request, tmp_path) -> Plant:
    if request.param == "sqlite":
        return SqlitePlant(tmp_path)
    return PostgresPlant(request.getfixturevalue("postgres_url"))
