"""Two daemons on one store: every record is judged once, by whichever comes first."""

import subprocess
import sys
from contextlib import ExitStack, closing

import psycopg
import pytest

from tests.plants import LEARNED, MONITORS, assert_whole, scored
from tests.processes import Daemon

pytestmark = pytest.mark.acceptance
PIECE = 250
PIECES = 16


def test_two_daemons_that_learn_and_judge_the_same(plant, tmp_path):
    """Both start before there is a detector, so they may train at the same time, too."""
    plant.add(LEARNED, first=0)
    monitors = MONITORS.format(source=plant.source)
    with ExitStack() as stack:
        pair = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            pair.append(Daemon(tmp_path / name, monitors, store=plant.store))
            stack.enter_context(pair[-1])
        pair[0].wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "a detector")
        total = LEARNED
        for _ in range(PIECES):
            plant.add(PIECE, first=total)
            total += PIECE
            pair[0].wait(lambda total=total: scored(plant) >= total - LEARNED, "the verdicts")
        shares = [daemon.metric('aemon_records_scored_total{monitor="plant"}') for daemon in pair]
        for daemon in pair:
            assert daemon.metric("aemon_store_errors_total") == 0
            assert daemon.stop() < 10
    assert sum(shares) == total - LEARNED
    assert_whole(plant, total)
    outcomes = {x for (x,) in plant.ask("SELECT DISTINCT outcome FROM runs WHERE job = 'score'")}
    assert outcomes <= {"ok", "no_data", "collecting", "abandoned", "skipped"}
    reasons = plant.ask("SELECT reason FROM runs WHERE outcome = 'abandoned' AND job = 'score'")
    stopped = ("plant: another writer was first", "aemon is stopping")
    assert all(reason.startswith(stopped) for (reason,) in reasons)
    assert plant.ask("SELECT count(*) FROM detectors WHERE state = 'active'") == [(1,)]
    trainings = {x for (x,) in plant.ask("SELECT DISTINCT outcome FROM runs WHERE job = 'train'")}
    assert trainings <= {"ok", "abandoned"}


@pytest.mark.postgresql
def test_two_that_make_the_tables_of_one_store_take_turns(postgres_url):
    """Loading a process takes longer than making tables, so both wait until both are loaded."""
    script = (
        "import sys, alembic.command; from aemon.store import schema;"
        " from aemon.store.engine import open_engine; engine = open_engine(sys.argv[1]);"
        " print('loaded', flush=True); sys.stdin.readline(); schema.prepare(engine)"
    )
    for _ in range(3):
        with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        pair = [
            subprocess.Popen(
                [sys.executable, "-c", script, postgres_url],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        assert [maker.stdout.readline() for maker in pair] == ["loaded\n"] * 2
        for maker in pair:
            maker.stdin.write("\n")
            maker.stdin.flush()
        errors = [maker.communicate(timeout=60)[1] for maker in pair]
        assert [maker.returncode for maker in pair] == [0, 0], errors
