"""A monitor on a small real table, trained with a small real detector."""

from pathlib import Path

import pytest

from aemon.config.schema import MonitorSettings
from tests import readings
from tests.processes import insert, make_table

LEARNED = 200


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
