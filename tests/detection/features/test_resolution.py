import numpy as np

from aemon.detection.features.resolution import half_steps

rng = np.random.default_rng(0)
FLOW, LEVEL = rng.normal(20, 8, 200), rng.normal(2.975, 0.0025, 200)
CELLS = np.stack([FLOW, LEVEL], axis=1)
SPREADS = np.array([8.0, 0.0025])


def halves(cells, decimals=(6, 6), spreads=SPREADS):
    return half_steps(cells, decimals, spreads).tolist()


def test_fewer_decimals_than_in_training_matter_where_the_spread_is_small():
    assert halves(CELLS.round(2)) == [0, 0.005]
    assert halves(CELLS.round(2), decimals=(-1, -1)) == [0, 0.005]


def test_as_many_decimals_as_in_training_change_nothing():
    assert halves(CELLS.round(6)) == [0, 0]
    assert halves(CELLS.round(2), decimals=(2, 2)) == [0, 0]


def test_one_record_tells_its_step_by_all_of_its_columns():
    assert halves(np.array([[19.25, 2.98]])) == [0, 0.005]
    assert halves(np.array([[19.251234, 2.98]])) == [0, 0]


def test_a_sensor_that_stands_still_at_a_round_number_is_no_coarse_one():
    still = np.stack([FLOW.round(6), np.full(200, 3.0)], axis=1)
    assert halves(still) == [0, 0]
    assert halves(np.full((40, 1), 3.0), decimals=(6,), spreads=SPREADS[1:]) == [0]


def test_missing_cells_and_constants_have_no_step():
    cells = CELLS.round(2)
    cells[:, 1] = np.nan
    assert halves(cells) == [0, 0]
    assert halves(CELLS.round(2), spreads=np.array([0.0, 0.0])) == [0, 0]
    assert halves(CELLS[:0]) == [0, 0]
