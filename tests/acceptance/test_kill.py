"""`kill -9` at random moments, again and again: nothing is lost, doubled or half-written."""

import random
import threading
import time

import pytest

from tests.plants import (
    LEARNED,
    MONITORS,
    Plant,
    assert_whole,
    scored,
    watermark,
)
from tests.processes import Daemon

PIECE = 40  # records a write
WRITE_EVERY_SECONDS = 0.02
LONGEST_START_SECONDS = 1.0  # about what a start takes: some are killed before they are ready
LONGEST_PAUSE_SECONDS = 0.6
LONGEST_COMMITS_SECONDS = 0.06  # the time of a few commits
KILLS_WHILE_LEARNING = 2
CATCH_UP_SECONDS = 600  # most of the records are left to the one that nobody kills


class Stream(threading.Thread):
    """Inserts rows, a piece at a time, as far as it is allowed."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(daemon=True)
        self._plant = plant
        self._next = self.allowed = LEARNED
        self._over = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set() or self._next < self.allowed:
                count = min(PIECE, self.allowed - self._next)
                if count:
                    self._plant.add(count, first=self._next)
                    self._next += count
                time.sleep(WRITE_EVERY_SECONDS)
        except Exception as error:  # noqa: BLE001 -- told by whoever waits for the thread
            self.error = error

    def end(self) -> None:
        self._over.set()
        self.join()
        assert self.error is None


def kill_once(daemon: Daemon, plant: Plant, chance: random.Random) -> None:
    """Start the daemon and kill it: before it is ready, at any time, or between its commits."""
    before = watermark(plant)
    daemon.launch()
    moment = chance.choice(("starting", "any", "working", "working"))
    if moment == "starting":
        time.sleep(chance.uniform(0, LONGEST_START_SECONDS))
    elif moment == "any":
        daemon.wait(lambda: daemon.get("/readyz") is not None, "the daemon to be ready")
        time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
    else:
        daemon.wait(lambda: watermark(plant) > before, "a commit", every=0.005)
        time.sleep(chance.uniform(0, LONGEST_COMMITS_SECONDS))
    daemon.kill()
    assert plant.unscored(since=max(LEARNED, before)) == 0, "the watermark ran ahead"


def kill_again_and_again(
    folder, plant: Plant, *, kills: int, records: int, seed: int
) -> dict[str, int]:
    """Let records stream in while the daemon is killed; what was seen of the kills."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    plant.add(LEARNED, first=0)
    with Daemon(folder, MONITORS.format(source=plant.source), store=plant.store) as daemon:
        for _ in range(KILLS_WHILE_LEARNING):
            time.sleep(chance.uniform(0, 2))
            daemon.kill()
            daemon.start()
        daemon.wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "the first detector")
        daemon.kill()
        stream = Stream(plant)
        stream.start()
        for number in range(1, kills + 1):
            stream.allowed = LEARNED + records * number // kills
            kill_once(daemon, plant, chance)
        stream.end()
        total = LEARNED + records
        daemon.start()
        daemon.wait(lambda: scored(plant) >= records, f"{records} verdicts", CATCH_UP_SECONDS)
        assert daemon.stop() < 10
        assert_whole(plant, total)
    halves = plant.ask("SELECT count(*) FROM runs WHERE outcome = 'running' AND job = 'score'")
    runs = plant.ask("SELECT count(*) FROM runs WHERE job = 'score'")
    seen = {"kills": kills, "killed between two commits": halves[0][0], "runs": runs[0][0]}
    print(seen)
    return seen


@pytest.mark.acceptance
def test_kills_at_random_moments_lose_and_double_nothing(plant, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    seen = kill_again_and_again(tmp_path, plant, kills=5, records=3000, seed=seed)
    assert seen["killed between two commits"] >= 1


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_two_hundred_kills_lose_and_double_nothing(plant, tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    began = time.monotonic()
    seen = kill_again_and_again(tmp_path, plant, kills=200, records=100_000, seed=seed)
    print(f"{time.monotonic() - began:.0f} s")
    assert seen["killed between two commits"] >= 50
