"""Several daemons on one PostgreSQL store: monitors are shared, and change hands without loss."""

import signal
import time

import pytest

from tests.replicas import LEASE_SECONDS, NAMES

pytestmark = [pytest.mark.acceptance, pytest.mark.postgresql]


def test_monitors_are_shared_and_shared_anew_when_one_joins_and_one_leaves(several):
    one = several.start("one")
    assert several.held() == {"one": set(NAMES)}, "the first one begins with all at once"
    # When two others join, one after the other
    for names in (("one", "two"), ("one", "two", "three")):
        last = several.start(names[-1])
        seconds = several.until(lambda names=names: several.shared_by(*names))
        print(f"{len(names)} share alike {seconds:.1f} s after the last was ready")
    assert last.metric("aemon_replicas_live") == 3
    for name in NAMES:
        shown = [f'aemon_lease_held{{monitor="{name}"}} 1.0' in (last.get("/metrics") or "")]
        assert shown == [name in several.held()["three"]]
    several.goes_on()
    # When one ends in order, the others have its monitors within a second or two
    began = time.monotonic()
    assert one.stop() < 10
    several.until(lambda: several.shared_by("two", "three"))
    handed = time.monotonic() - began
    print(f"handed over {handed:.1f} s after SIGTERM")
    assert handed < 5
    several.goes_on()
    assert several.plant.ask("SELECT count(*) FROM runs WHERE outcome = 'failed'") == [(0,)]


def test_the_monitors_of_one_that_was_killed_are_taken_over_within_two_lease_times(several):
    one = several.start("one")
    several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    several.goes_on()
    # When one is killed in the middle of its work
    one.kill()
    seconds = several.until(lambda: several.held() == {"two": set(NAMES)})
    print(f"taken over {seconds:.1f} s after kill -9, with a lease of {LEASE_SECONDS:g} s")
    # Then the other has all of it within two lease times, and goes on
    assert seconds < 2 * LEASE_SECONDS
    several.goes_on()


def test_one_that_hung_and_comes_back_writes_nothing_of_what_it_had_in_hand(several):
    one = several.start("one")
    two = several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    several.goes_on()
    # Given one that stands still for longer than its lease
    one.process.send_signal(signal.SIGSTOP)
    seconds = several.until(lambda: several.held() == {"two": set(NAMES)})
    print(f"taken over {seconds:.1f} s after SIGSTOP, with a lease of {LEASE_SECONDS:g} s")
    assert seconds < 2 * LEASE_SECONDS
    several.goes_on()
    before = several.plant.ask("SELECT monitor, generation FROM watermarks ORDER BY monitor")
    assert before
    # When it comes back, it hears that they are another's, and then gets its share again
    one.process.send_signal(signal.SIGCONT)
    several.until(lambda: one.metric("aemon_leases_lost_total") >= 1)
    several.until(lambda: several.shared_by("one", "two"))
    assert two.metric("aemon_leases_lost_total") == 0
    several.goes_on()
