"""Two at work on one store: every record is judged once, by whichever comes first."""

import subprocess
import sys
from contextlib import ExitStack, closing

import psycopg
import pytest

from tests.plants import LEARNED, MONITORS, assert_whole, scored
from tests.processes import Daemon, aemon

pytestmark = pytest.mark.acceptance
PIECE = 250
PIECES = 8


def test_of_two_daemons_one_watches_and_the_other_stands_by(plant, tmp_path):
    """Both start before there is a detector; the one that stands by goes on when it must."""
    plant.add(LEARNED, first=0)
    monitors = MONITORS.format(source=plant.source)
    total = LEARNED
    with ExitStack() as stack:
        pair = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            settings = f"replicas: {{name: {name}, lease: 3s}}"
            daemon = Daemon(tmp_path / name, monitors, store=plant.store, settings=settings)
            pair.append(stack.enter_context(daemon))
        pair[0].wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "a detector")

        def judge(pieces: int) -> None:
            nonlocal total
            for _ in range(pieces):
                plant.add(PIECE, first=total)
                total += PIECE
                wanted = total - LEARNED
                pair[1].wait(lambda wanted=wanted: scored(plant) >= wanted, "the verdicts")

        judge(PIECES)
        share = 'aemon_records_scored_total{monitor="plant"}'
        # A run is counted when it has ended, a moment after its verdicts are there.
        pair[0].wait(lambda: pair[0].metric(share) == total - LEARNED, "the run to be counted")
        held = [d.metric('aemon_lease_held{monitor="plant"}') for d in pair]
        assert [d.metric(share) for d in pair] == [total - LEARNED, 0]
        assert held == [1, 0]
        assert pair[0].stop() < 10
        judge(PIECES)
        assert pair[1].metric('aemon_lease_held{monitor="plant"}') == 1
        assert pair[1].metric("aemon_store_errors_total") == 0
        assert pair[1].stop() < 10
    assert_whole(plant, total)
    assert_nothing_odd(plant)
    assert plant.ask("SELECT count(*) FROM detectors") == [(1,)], "one trained, the other did not"
    assert plant.ask("SELECT count(*) FROM replicas") == [(0,)], "both left in order"


def test_a_person_who_scores_beside_a_daemon(plant, tmp_path):
    """`aemon score` holds no lease: who comes second at the watermark writes nothing."""
    plant.add(LEARNED, first=0)
    total = LEARNED
    outcomes = set()
    with Daemon(tmp_path, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        daemon.wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "a detector")
        for _ in range(3):
            plant.add(2000, first=total)
            total += 2000
            done = aemon("score", "-c", str(daemon.config), "--json", check=False)
            outcomes |= {word for word in ("ok", "no_data", "abandoned") if word in done.stdout}
            assert not done.stderr.count("Traceback")
        daemon.wait(lambda: scored(plant) >= total - LEARNED, "the verdicts")
        assert daemon.metric("aemon_store_errors_total") == 0
        assert daemon.stop() < 10
    assert outcomes
    assert_whole(plant, total)
    assert_nothing_odd(plant)


def assert_nothing_odd(plant) -> None:
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
        "import sys, alembic.command; from aemon.store.schema import revisions;"
        " from aemon.store.engine import open_engine; engine = open_engine(sys.argv[1]);"
        " print('loaded', flush=True); sys.stdin.readline(); revisions.prepare(engine)"
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
