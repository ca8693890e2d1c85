"""Episodes told before, read once for a commit."""

from datetime import UTC, datetime, timedelta

import pytest

from aemon.clock import utc_now
from aemon.monitoring.earlier_episodes import MOST_EARLIER, EarlierEpisodes
from aemon.records import Episode, EpisodeState, Severity
from aemon.store.engine import open_engine
from aemon.store.episodes import write_episodes
from aemon.store.schema import revisions
from aemon.store.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 3 * MOST_EARLIER


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    """A store with an episode a minute."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('store')}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["plant"])
    with engine.begin() as connection:
        write_episodes(connection, "plant", [told(minute) for minute in range(COUNT)], START)
    with engine.connect() as connection:
        yield connection
    store.close()


def told(minute, *, number=None):
    at = START + timedelta(minutes=minute)
    return Episode(
        id=number,
        entity="",
        state=EpisodeState.CLOSED,
        started_at=at,
        ended_at=at,
        records=1,
        severity=Severity.WARNING,
        peak_exceedance=2.0,
        peak_record_key=str(minute),
        blame={"flow": 1.0},
        signed={"flow": float(minute)},
        opened_at=at,
    )


def minutes(earlier):
    return [int(one.pattern["flow"]) for one in earlier]


@pytest.mark.parametrize("minute", [0, 1, MOST_EARLIER, COUNT - 2 * MOST_EARLIER, COUNT - 1])
def test_an_episode_is_held_against_the_newest_that_began_before_it(connection, minute):
    # Given a commit that changes the newest episode, and an older one that goes on
    earlier = EarlierEpisodes(connection, "plant", told(COUNT - 1).started_at)
    assert minutes(earlier.before(told(COUNT - 1, number=COUNT)))[0] == COUNT - 2
    # Then the older one is held against those before it, itself left out
    found = minutes(earlier.before(told(minute, number=minute + 1)))
    assert found == list(range(minute - 1, max(minute - 1 - MOST_EARLIER, -1), -1))


def test_episodes_of_another_monitor_are_not_its_own(connection):
    earlier = EarlierEpisodes(connection, "other", told(COUNT).started_at)
    assert earlier.before(told(COUNT, number=None)) == []
