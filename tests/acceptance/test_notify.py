"""People are told of every episode: whatever becomes of the daemon and of the receiver."""

import pytest

from aemon.testing.http_receiver import receiving
from tests.plants import LEARNED, MONITORS, ODD_EVERY, Plant, scored
from tests.processes import Daemon, free_port

pytestmark = pytest.mark.acceptance
SETTINGS = """
notify:
  ops: {{kind: webhook, url: 'http://127.0.0.1:{port}/x', timeout: 500ms, oldest: forever}}
"""
KILLS = 2
SERIES = 'aemon_notifications_waiting{receiver="ops"} 0'


def told(plant: Plant, state: str) -> int:
    """How many notifications are in a state."""
    found = plant.ask(f"SELECT count(*) FROM notifications WHERE state = '{state}'")
    return found[0][0] if found else 0


def opened(plant: Plant, more: str = "") -> int:
    """How many episodes there were to be told."""
    return plant.ask(f"SELECT count(*) FROM episodes WHERE opened_at IS NOT NULL {more}")[0][0]


def judge(daemon: Daemon, plant: Plant, first: int, last: int) -> None:
    """Add records up to one that is not among them, and wait for their verdicts."""
    plant.add(last - first, first=first)
    daemon.wait(lambda: scored(plant) == last - LEARNED, f"{last} records to be judged")


def test_every_episode_is_told_whatever_is_killed(plant, tmp_path):
    """Given a fault every fifty records, a receiver that comes and goes, and SIGKILL in between."""
    port, heard = free_port(), []
    fault, later = LEARNED + ODD_EVERY + 1, LEARNED + 2 * ODD_EVERY
    plant.add(LEARNED, first=0)
    with Daemon(
        tmp_path,
        MONITORS.format(source=plant.source),
        store=plant.store,
        settings="reload_every: 300ms",
    ) as daemon:
        daemon.wait(lambda: plant.ask("SELECT 1 FROM detectors") != [], "a detector")
        # A receiver is configured while the daemon runs
        daemon.config.write_text(daemon.config.read_text() + SETTINGS.format(port=port))
        daemon.wait(lambda: SERIES in (daemon.get("/metrics") or ""), "it to be taken up")
        with receiving(port) as receiver:
            judge(daemon, plant, LEARNED, fault)
            daemon.wait(lambda: told(plant, "expected") > 0, "the first to be told")
            heard += receiver.heard
        # Its end comes, while nobody hears; then the daemon is killed
        judge(daemon, plant, fault, later)
        daemon.wait(lambda: told(plant, "waiting") > 0, "its end to wait")
        daemon.kill()
        with receiving(port) as receiver:
            daemon.start()
            daemon.wait(lambda: told(plant, "sent") >= 2 * opened(plant), "the end to be told")
            heard += receiver.heard
            assert sorted({(h.body["episode"], h.body["event"]) for h in heard}) == sorted(
                (h.body["episode"], h.body["event"]) for h in heard
            ), "nothing is told twice"
        # Killed in the midst of telling, again and again
        with receiving(port) as receiver:
            for first in range(later, later + KILLS * ODD_EVERY, ODD_EVERY):
                before = opened(plant)
                plant.add(ODD_EVERY, first=first)
                daemon.wait(lambda b=before: opened(plant) > b, "another", every=0.005)
                daemon.kill()
                daemon.start()
            judge(daemon, plant, later + KILLS * ODD_EVERY, later + KILLS * ODD_EVERY + 20)
            daemon.wait(
                lambda: opened(plant) == opened(plant, "AND state = 'closed'"), "their ends"
            )
            daemon.wait(lambda: told(plant, "sent") >= 2 * opened(plant), "all to be told")
            assert daemon.stop() < 10
            heard += receiver.heard
    messages = {h.body["id"]: (h.body["episode"], h.body["event"]) for h in heard}
    numbers = [number for (number,) in plant.ask("SELECT episode FROM episodes_told")]
    assert len(numbers) >= 3
    for event in ("opened", "resolved"):
        assert sorted(n for n, what in messages.values() if what == event) == sorted(numbers)
    repeats = len(heard) - len(messages)
    assert repeats <= KILLS, "only what was in hand as the daemon was killed comes again"
    assert told(plant, "waiting") == told(plant, "dead") == told(plant, "expected") == 0
