import pytest

from tests import readings
from tests.cli.commands import LEARNED, WIDTH, add_monitor, sql
from tests.processes import insert, make_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table and a configuration, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    make_table(tmp_path / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(tmp_path / "plant.db", "readings", readings.rows(LEARNED))
    (tmp_path / "aemon.yaml").write_text(f"store: sqlite:///{tmp_path}/aemon.db\nmonitors:\n")
    more = f"    min_records: {LEARNED}\n    detector: {{steps: 60, members: 1}}\n"
    add_monitor(tmp_path, "pumps", sql(tmp_path, "readings"), more)
    return tmp_path
