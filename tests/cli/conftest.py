"""Folders in which commands are run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import readings
from tests.cli.commands import LEARNED, ODD, WIDTH, add_monitor, run, sql, strike
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


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Where folders are kept that took long to make."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def once(request, folder, made) -> Callable[[Callable[[], None]], Path]:
    """Does to the folder what takes long: the first test of a module for all others of it."""

    def once(build: Callable[[], None]) -> Path:
        kept = made / request.module.__name__.replace(".", "-")
        if not kept.exists():
            build()
            shutil.copytree(folder, kept)
            (kept / "made in").write_text(str(folder))
            return folder
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        config = folder / "aemon.yaml"
        text = config.read_text()
        config.write_text(text.replace((folder / "made in").read_text(), str(folder)))
        (folder / "made in").unlink()
        return folder

    return once


@pytest.fixture
def struck(folder, once):
    """A folder whose plant had one fault twice, and a third time just now."""

    def build() -> None:
        run(folder, "train")
        strike(folder, LEARNED, 3)
        strike(folder, LEARNED + 20, 2)
        last = LEARNED + 40
        insert(folder / "plant.db", "readings",
               [(last, next(readings.rows(1, first=last))[1], *ODD)])  # fmt: skip
        run(folder, "score")

    return once(build)
