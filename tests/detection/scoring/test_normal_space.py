from itertools import pairwise

import numpy as np
import pytest

from aemon.detection.scoring.neighbours import Prototypes
from aemon.detection.scoring.normal_space import (
    BLOCK_RECORDS,
    MEASURES,
    NEAREST,
    NEIGHBOURS,
    RESIDUAL_WEIGHT,
    Space,
)

ORIGIN = np.zeros((1, 2), dtype=np.float32)
GRID = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2).astype(np.float32)
"""Normal records on the crossings of a grid."""


def floats(values):
    return np.array(values, dtype=np.float32)


def seen(found):
    return np.ones(found.shape, dtype=bool)


def none(found):
    """Residuals of records that come back as they are."""
    return np.zeros((1, *found.shape), dtype=np.float32)


def space_of(normal, *, weights=(1, 1), whitening=None, usual=None, residuals=0.0, vouchers=1):
    """A space of normal records (P, F), whose whitened residuals are given."""
    weights = floats(weights)
    width = len(weights)
    bare = Space(
        weights=weights,
        whitening=np.eye(width, dtype=np.float32) if whitening is None else floats(whitening),
        usual=weights if usual is None else floats(usual),
        prototypes=Prototypes(points=normal),
        joint=Prototypes(points=normal),
        densities=np.zeros(len(normal), dtype=np.float32),
        vouchers=vouchers,
    )
    points = bare.scaled(normal)
    gaps = ((points[:, None] - points) ** 2).sum(axis=2) + np.diag(np.full(len(points), np.inf))
    around = np.sort(gaps, axis=1)[:, :NEIGHBOURS] / max(weights.sum(), 1)
    return Space(
        weights=bare.weights,
        whitening=bare.whitening,
        usual=bare.usual,
        prototypes=Prototypes(points=points),
        joint=Prototypes(points=bare.beside(normal, np.full_like(normal, residuals))),
        densities=np.log(np.maximum(around, NEAREST)).mean(axis=1).astype(np.float32),
        vouchers=vouchers,
    )


def measured(space, found, *, mask=None, residuals=None, **how):
    mask = seen(found) if mask is None else mask
    residuals = none(found) if residuals is None else residuals
    return space.measure(found, mask, residuals, MEASURES, **how)


def neighbour(space, found, **how):
    return np.exp(measured(space, found, **how).values["neighbour"])


def test_the_residual_is_the_mahalanobis_distance_a_unit_of_weight():
    # Given residuals whose normal ones hang together, of two members that disagree a little
    whitening = [[2.0, -0.5], [-0.5, 1.0]]
    residuals = floats([[[1.0, 2.0]], [[1.0, 1.0]]])
    found = measured(space_of(GRID, whitening=whitening), ORIGIN, residuals=residuals)
    # Then it is the mean of theirs, a feature
    precision = np.array(whitening) @ whitening
    each = [member[0] @ precision @ member[0] for member in residuals]
    assert np.exp(found.values["residual"]) == pytest.approx(np.mean(each) / 2, rel=1e-5)
    assert found.errors.sum() == pytest.approx(np.mean(each), rel=1e-5)


def test_another_whitening_than_its_own_can_be_asked_for():
    residuals = np.full((1, 1, 2), 3, dtype=np.float32)
    one, two = (
        measured(space_of(GRID), ORIGIN, residuals=residuals, whitening=floats(scale * np.eye(2)))
        for scale in (1, 2)
    )
    assert np.exp(two.values["residual"]) == pytest.approx(4 * np.exp(one.values["residual"]))


def test_the_neighbour_is_the_squared_distance_to_the_nearest_normal_record():
    found = measured(space_of(GRID), floats([[3.0, 4.5], [10.0, 7.0]]))
    np.testing.assert_allclose(np.exp(found.values["neighbour"]), [0.25 / 2, 9 / 2], rtol=1e-4)
    assert tuple(GRID[found.nearest[1]]) == (7, 7)


def test_a_feature_counts_by_its_weight():
    space = space_of(GRID, weights=(3, 1))
    np.testing.assert_allclose(
        neighbour(space, floats([[10.0, 7.0], [7.0, 10.0]])), [3 * 9 / 4, 9 / 4], rtol=1e-4
    )


def test_distances_below_a_hundredth_of_a_spread_are_repetitions():
    found = neighbour(space_of(GRID), floats([[3.0, 4.0], [3.001, 4.0]]))
    np.testing.assert_allclose(found, NEAREST)


def test_within_evenly_spread_records_density_is_level():
    # Given normal records spread evenly, and as many on a quarter of the ground
    rng = np.random.default_rng(0)
    even = rng.uniform(-1, 1, (2000, 2)).astype(np.float32)
    within = rng.uniform(-0.8, 0.8, (500, 2)).astype(np.float32)
    # When others among them are measured
    level, dense = (
        measured(space_of(scale * even), scale * within).values["density"] for scale in (100, 50)
    )
    # Then their neighbours are as far away as those are from theirs, whatever the scale
    assert level.mean() == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(level, dense, atol=1e-3)


def test_a_record_between_two_crowds_stands_out_by_density_as_from_the_dense_one():
    # Given a dense and a thin crowd
    rng = np.random.default_rng(0)
    dense = rng.normal(0, 0.1, (300, 2))
    thin = rng.normal(20, 2, (300, 2))
    space = space_of(floats(np.concatenate([dense, thin])))
    # When a record is as far from one as another is from the other
    beside = measured(space, floats([[2, 0], [26, 20]])).values
    # Then it is odd beside the dense one, and next to nothing beside the thin one
    assert beside["density"][0] > beside["density"][1] + 2
    assert abs(beside["neighbour"][0] - beside["neighbour"][1]) < 1.5


def test_the_joint_space_sees_a_residual_that_no_neighbour_has():
    # Given a record where normal ones are, whose residual is 4 whitened units off theirs
    space = space_of(GRID, residuals=1.0)
    record, gap = GRID[:1], np.full((1, 1, 2), 1, dtype=np.float32)
    usual = measured(space, record, residuals=gap)
    odd = measured(space, record, residuals=5 * gap)
    assert np.exp(usual.values["joint"]) == pytest.approx(NEAREST)
    assert np.exp(odd.values["joint"]) == pytest.approx(2 * (4 * RESIDUAL_WEIGHT) ** 2 / 2)
    gaps = space.joint_gaps(record, seen(record), 5 * gap, odd.joint)
    np.testing.assert_allclose(gaps, [[4, 4]])


def test_what_is_not_wanted_is_not_looked_for():
    found = space_of(GRID).measure(ORIGIN, seen(ORIGIN), none(ORIGIN), ("residual",))
    assert set(found.values) == {"residual"}
    assert found.joint.size == 0


def test_missing_cells_have_no_part_in_any_distance():
    # Given a record that lacks a cell in which it would be far
    space = space_of(GRID)
    record, mask = floats([[3.4, 0.0]]), np.array([[True, False]])
    found = measured(space, record, mask=mask).values
    # Then it is as far as its only cell tells, a unit of the weight that was observed
    for name in ("neighbour", "joint"):
        assert np.exp(found[name]) == pytest.approx(0.4**2, rel=1e-4)
    farthest = np.array([len(GRID) - 1])
    gaps = space.gaps(record, mask, farthest)
    np.testing.assert_allclose(gaps, [[(7 - 3.4) ** 2, 0]], rtol=1e-4)
    assert space.gaps(record, seen(record), farthest)[0, 1] == 7**2


def test_a_record_lacks_the_usual_error_of_the_features_it_lacks():
    # Given a feature that normally has nine tenths of all error
    space = space_of(GRID, usual=(1.8, 0.2))
    residuals = np.full((1, 1, 2), 2, dtype=np.float32)
    for cells, share in (([1, 1], 8 / 2), ([1, 0], 4 / 1.8), ([0, 1], 4 / 0.2)):
        mask = np.array([cells], dtype=bool)
        found = measured(space, ORIGIN, mask=mask, residuals=residuals * mask)
        assert np.exp(found.values["residual"]) == pytest.approx(share, rel=1e-5)


def test_a_record_like_another_entitys_is_far():
    # Given two entities, each with its own place, told by two features of context
    own = np.repeat(np.eye(2), 50, axis=0)
    values = np.concatenate([np.linspace(0, 1, 50), np.linspace(5, 6, 50)])[:, None]
    space = space_of(floats(np.concatenate([values, 3 * own], axis=1)), weights=(1, 0, 0))
    # When a record is where its own entity never is and the other always
    at_home, astray, unknown = floats([[5.5, 0, 3], [5.5, 3, 0], [5.5, 0, 0]])
    known = seen(space.normal_records[:1])
    # Then only what it is of tells, and the features of context carry no blame
    assert neighbour(space, at_home[None])[0] < 0.01
    assert neighbour(space, astray[None])[0] > 10
    gaps = space.gaps(astray[None], known, np.array([99]))
    np.testing.assert_allclose(gaps, [[0.25, 0, 0]])
    assert neighbour(space, unknown[None], mask=np.array([[True, False, False]]))[0] < 0.01


def test_a_lonely_prototype_vouches_for_nothing_where_several_are_asked_for():
    normal = np.concatenate([GRID, floats([[30, 30]])])
    beside = floats([[30.5, 30.0]])
    for vouchers in (2, 3, 10):
        space = space_of(normal, vouchers=vouchers)
        gaps = np.sort(((normal - beside) ** 2).sum(axis=1))
        assert neighbour(space, beside)[0] == pytest.approx(gaps[vouchers - 1] / 2, rel=1e-4)
    assert neighbour(space_of(normal), beside)[0] == pytest.approx(0.125, rel=1e-3)


def test_a_record_can_be_held_against_the_others_alone():
    space = space_of(GRID)
    alone = measured(space, GRID, without=np.arange(len(GRID)))
    np.testing.assert_allclose(np.exp(alone.values["neighbour"]), 0.5, rtol=1e-4)
    np.testing.assert_allclose(np.exp(alone.values["joint"]), 0.5, rtol=1e-4)
    np.testing.assert_allclose(neighbour(space, GRID), NEAREST)


class TestGuess:
    def test_a_missing_cell_is_as_in_the_nearest_records(self):
        # Given records on a circle, one of whose features is not a function of the other
        angles = np.linspace(0, 2 * np.pi, 1000)
        circle = floats(np.stack([np.cos(angles), np.sin(angles), angles > np.pi], axis=1))
        space = space_of(circle, weights=(1, 1, 1))
        # When the height is missing
        records = floats([[0.6, 0, 0], [0.6, 0, 1], [0.6, 0.1, 0]])
        mask = np.array([[True, False, True], [True, False, True], [True] * 3])
        guessed = space.guess(records, mask)
        # Then it is that of the side the record is on; what was observed stays
        np.testing.assert_allclose(guessed[:2, 1], [0.8, -0.8], atol=0.02)
        np.testing.assert_array_equal(guessed[mask], records[mask])

    def test_it_is_alike_in_any_block_and_leaves_the_records_as_they_were(self):
        rng = np.random.default_rng(0)
        records = floats(rng.normal(4, 2, (2 * BLOCK_RECORDS + 5, 2)))
        mask = np.tile([True, False], (len(records), 1))
        before, space = records.copy(), space_of(GRID)
        together = space.guess(records, mask)
        np.testing.assert_array_equal(records, before)
        for start, stop in pairwise((0, 1, BLOCK_RECORDS, 2 * BLOCK_RECORDS, len(records))):
            part = slice(start, stop)
            np.testing.assert_allclose(space.guess(records[part], mask[part]), together[part])

    def test_an_empty_record_and_an_unknown_entity_stay_as_they_are(self):
        space = space_of(floats(np.arange(1, 21).reshape(10, 2)), weights=(1, 0))
        records = floats([[0, 2], [3, 0]])
        mask = np.array([[False, True], [True, False]])
        np.testing.assert_array_equal(space.guess(records, mask), records)


def test_normal_records_come_back_in_spreads():
    np.testing.assert_allclose(space_of(GRID, weights=(3, 0)).normal_records, GRID, rtol=1e-6)
