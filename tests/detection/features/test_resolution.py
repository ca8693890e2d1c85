import numpy as np
import pytest

from aemon.detection.features.resolution import are_fine, half_steps, step_of

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


@pytest.mark.parametrize(("step", "written"), [(0.5, (1, 5)), (0.25, (2, 25)), (0.05, (2, 5))])
def test_steps_of_a_half_or_a_quarter_are_steps_as_decimals_are(step, written):
    level = rng.normal(20, 2 * step, (200, 1))
    coarse = np.round(level / step) * step
    spread = np.array([2 * step])
    assert step_of(coarse[:, 0]) == written
    assert half_steps(coarse, (6,), spread, (1,)).tolist() == [pytest.approx(step / 2)]
    # Where the training had such steps, nothing is coarser
    places, unit = written
    assert half_steps(coarse, (places,), spread, (unit,)).tolist() == [0]
    assert half_steps(level.round(6), (places,), spread, (unit,)).tolist() == [0]


def test_the_steps_of_old_detectors_are_decimals_alone():
    """A column learned with steps of 0.5 was noted as one with one decimal."""
    halves = np.round(rng.normal(20, 1, (200, 1)) * 2) / 2
    assert half_steps(halves, (1,), np.array([1.0])).tolist() == [0]
    assert half_steps(halves, (6,), np.array([1.0])).tolist() == [0.05]


def test_a_slow_column_is_as_coarse_as_the_others_are():
    """Given two readings of a slow one, and a fast one beside it that shows the step of both."""
    fast = np.round(rng.normal(20, 8, (50, 1)) * 2) / 2
    slow = np.where(np.arange(50) < 30, 3.0, 3.5)[:, None]
    both = np.concatenate([fast, slow], axis=1)
    assert half_steps(both, (6, 6), np.array([8.0, 0.2]), (1, 1)).tolist() == [0.25, 0.25]


def test_few_values_show_no_steps_of_a_half():
    two = np.array([[20.5], [21.0], [20.5]])
    assert half_steps(two, (6,), np.array([1.0]), (1,)).tolist() == [0]


def test_columns_of_coarser_steps_are_not_fine():
    coarse = np.round(rng.normal(20, 1, (200, 1)) * 2) / 2
    assert not are_fine(coarse, (2,), (1,))[0]
    assert are_fine(coarse, (1,), (5,))[0]
    assert are_fine(coarse, (2,), (25,))[0]
