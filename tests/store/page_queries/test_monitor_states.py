"""What pages read of many monitors at once."""

from datetime import timedelta

import pytest

from aemon.store.page_queries.exceedances import exceedances
from aemon.store.page_queries.monitor_states import open_severities
from aemon.store.page_queries.time_pieces import Pieces
from tests.filled_stores import fill

NAMES = ["pumps", "fans", "unknown"]


@pytest.fixture
def filled(store, clock):
    store.add_monitors(["fans", "belts"])
    fill(store, "pumps", clock(), records=300, anomalies=(20, 21, 22), critical=True)
    fill(store, "fans", clock(), records=100, anomalies=(50,), seed=2)
    return store


def test_the_highest_severity_of_the_open_episodes(filled):
    assert open_severities(filled, NAMES) == {"pumps": "critical", "fans": "warning"}
    assert open_severities(filled, []) == {}


def test_the_largest_exceedance_of_each_half_hour(filled, clock):
    pieces = Pieces.up_to(clock(), timedelta(minutes=30), 8)
    found = {
        (each.monitor, each.piece): each.exceedance for each in exceedances(filled, NAMES, pieces)
    }
    over = {place for place, exceedance in found.items() if exceedance > 1}
    # Records 20 to 22 of 300 were 280 minutes ago: before these pieces
    assert over == {("fans", pieces.count - 3)}
    assert len([place for place in found if place[0] == "pumps"]) == 8
