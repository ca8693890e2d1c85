"""Running a command line and holding it to its exit code."""

import subprocess
from pathlib import Path

from aemon.errors import ExitCode
from tests import readings
from tests.processes import insert
from tests.warm_start import aemon_warm

LEARNED = 200
ODD = (9.0, 2.2, 0.8)
WIDTH = 80


def run(folder: Path, *arguments: str, code: int = ExitCode.OK) -> subprocess.CompletedProcess[str]:
    done = aemon_warm(*arguments, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def change(folder: Path, old: str, new: str) -> None:
    """Change the text of a folder's configuration."""
    path = folder / "aemon.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add_monitor(folder: Path, name: str, source: str, more: str = "") -> None:
    path = folder / "aemon.yaml"
    path.write_text(
        f"{path.read_text()}  {name}:\n    source: {source}\n    score_every: 1s\n{more}"
    )


def sql(folder: Path, table: str, more: str = "") -> str:
    return (
        f"{{kind: sql, url: 'sqlite:///{folder}/plant.db', "
        f"table: {table}, time: ts, key: id{more}}}"
    )


def strike(folder, first: int, records: int) -> None:
    """Odd readings, and so many normal ones that the episode ends."""
    rows = list(readings.rows(records + 10, first=first))
    rows[:records] = [(n, time, *ODD) for n, time, *_ in rows[:records]]
    insert(folder / "plant.db", "readings", rows)
    run(folder, "score")
