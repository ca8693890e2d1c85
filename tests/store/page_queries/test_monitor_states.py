"""The states of many monitors at once are those that each has by itself."""

from datetime import timedelta

import pytest

from aemon.store.page_queries.monitor_states import open_severities, overviews
from aemon.store.queries import overview
from tests.filled_stores import fill

NAMES = ["pumps", "fans", "unknown"]


@pytest.fixture
def filled(store, clock):
    store.add_monitors(["fans", "belts"])
    fill(store, "pumps", clock(), records=300, anomalies=(20, 21, 22), critical=True)
    fill(store, "fans", clock(), records=100, anomalies=(50,), seed=2)
    return store


def test_all_at_once_is_each_by_itself(filled, clock):
    since = clock() - timedelta(days=1)
    assert overviews(filled, NAMES, since) == overview(filled, NAMES, since)
    (pumps, fans) = overviews(filled, NAMES, since)
    assert (pumps.name, pumps.anomalies, pumps.episodes_open) == ("pumps", 3, 1)
    assert pumps.realised.judged == 300
    assert fans.realised.flagged == 1
    assert overviews(filled, ["belts"], since)[0].detector_version is None


def test_the_highest_severity_of_the_open_episodes(filled):
    assert open_severities(filled, NAMES) == {"pumps": "critical", "fans": "warning"}


def test_no_monitors_have_no_states(filled, clock):
    assert overviews(filled, [], clock()) == []
