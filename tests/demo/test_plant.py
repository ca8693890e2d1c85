import itertools

import numpy as np
import pytest

from aemon.demo.plant import COLUMNS, PUMPS, TICKS_PER_SECOND, Plant

SECONDS = 25  # what the first detector learns from


def test_the_same_seed_gives_the_same_readings_however_they_are_asked_for():
    whole = Plant(seed=7).readings("p2", 0, 300)
    edges = [0, 1, 2, 9, 30, 31, 75, 200, 300]
    pieces = [Plant(seed=7).readings("p2", a, b) for a, b in itertools.pairwise(edges)]
    for name in COLUMNS:
        together = np.concatenate([piece.numbers[name] for piece in pieces])
        assert np.array_equal(together, whole.numbers[name])
    assert np.array_equal(np.concatenate([p.load for p in pieces]), whole.load)
    assert np.array_equal(np.concatenate([p.throttled for p in pieces]), whole.throttled)


def test_another_seed_or_pump_gives_other_readings():
    flow = Plant(seed=7).readings("p1", 0, 50).numbers["flow"]
    assert not np.array_equal(flow, Plant(seed=8).readings("p1", 0, 50).numbers["flow"])
    assert not np.array_equal(flow, Plant(seed=7).readings("p2", 0, 50).numbers["flow"])


def test_no_ticks_give_no_readings():
    readings = Plant(seed=7).readings("p1", 15, 15)
    assert len(readings.seconds) == len(readings.numbers["flow"]) == len(readings.load) == 0


@pytest.mark.parametrize("pump", PUMPS)
def test_a_pump_shows_nearly_all_it_can_do_before_the_first_detector(pump):
    plant = Plant(seed=7)
    first = plant.readings(pump, 0, SECONDS * TICKS_PER_SECOND)
    later = plant.readings(pump, SECONDS * TICKS_PER_SECOND, 120 * TICKS_PER_SECOND)
    assert set(np.unique(first.throttled)) == {0.0, 1.0}
    assert later.load.min() > first.load.min() - 0.35
    assert later.load.max() < first.load.max() + 0.35


def test_flow_pressure_and_current_follow_one_load():
    readings = Plant(seed=7).readings("p1", 0, 600)
    still = readings.throttled == 0
    table = np.array([readings.numbers[name][still] for name in ("flow", "pressure", "current")])
    assert np.corrcoef(table).min() > 0.95


def test_every_value_is_one_a_real_sensor_would_give(plant_table):
    table = plant_table(Plant(seed=7), 120)
    assert len(table) == 120 * 10 * 4
    for name in COLUMNS:
        assert (table[name] > 0).all()
