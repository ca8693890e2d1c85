import numpy as np
import pytest

from aemon.detection.scoring.neighbours import BLOCK_RECORDS, FEW, GROUPS, Prototypes
from tests.detection.training_sets import records

POINTS = records(500, seed=0)
RECORDS = records(2 * BLOCK_RECORDS + 10, seed=1)
SEEN = np.random.default_rng(2).random(RECORDS.shape) < 0.7


def squares(found, points, seen=None):
    """Squared distances (N, P) over the cells seen, one by one and in double precision."""
    gaps = (found[:, None].astype(float) - points) ** 2
    return gaps.sum(axis=2) if seen is None else (gaps * seen[:, None]).sum(axis=2)


@pytest.mark.parametrize("k", [1, 2, FEW, FEW + 1, GROUPS, 300])
@pytest.mark.parametrize("count", [500, GROUPS, 1000], ids="{} prototypes".format)
def test_they_are_the_nearest_of_all_the_nearest_first(count, k):
    points = records(count, seed=3)
    distances, rows = Prototypes(points=points).nearest(RECORDS, k=k)
    expected = np.sort(squares(RECORDS, points), axis=1)[:, :k]
    np.testing.assert_allclose(distances, expected, atol=1e-4)
    np.testing.assert_allclose(
        np.take_along_axis(squares(RECORDS, points), rows, axis=1), distances, atol=1e-4
    )
    assert all(len(set(row)) == min(k, count) for row in rows)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_a_record_with_gaps_is_compared_in_the_cells_it_has(k):
    # Given records of which some lack cells, and one lacks them all
    seen = SEEN | (np.arange(len(RECORDS)) % 2 == 0)[:, None]
    seen[1] = False
    # When their nearest are looked for
    distances, rows = Prototypes(points=POINTS).nearest(RECORDS, seen, k=k)
    # Then no missing cell counts, whatever is in its place
    all_of_them = squares(RECORDS, POINTS, seen)
    np.testing.assert_allclose(distances, np.sort(all_of_them, axis=1)[:, :k], atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(all_of_them, rows, axis=1), distances, atol=1e-4)
    assert not distances[1].any()


@pytest.mark.parametrize("count", [1, 3, GROUPS - 1, GROUPS + 1])
def test_of_fewer_prototypes_than_are_asked_for_all_are_found_and_none_beside(count):
    distances, rows = Prototypes(points=POINTS[:count]).nearest(RECORDS, k=count + 7)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(count), (len(rows), 1)))
    expected = np.sort(squares(RECORDS, POINTS[:count]), axis=1)
    np.testing.assert_allclose(distances, expected, atol=1e-4)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_no_record_finds_the_prototype_it_is_to_do_without(k):
    # Given prototypes judged as records, of which every third may find itself
    own = np.where(np.arange(len(POINTS)) % 3, np.arange(len(POINTS)), -1)
    distances, rows = Prototypes(points=POINTS).nearest(POINTS, k=k, without=own)
    # Then those find themselves first, and the others everything but themselves
    apart = squares(POINTS, POINTS)
    apart[own >= 0, own[own >= 0]] = np.inf
    assert not (rows == own[:, None]).any()
    np.testing.assert_array_equal(rows[::3, 0], np.arange(0, len(POINTS), 3))
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :k], atol=1e-4)


def test_what_is_done_without_is_none_of_the_few_there_are():
    distances, rows = Prototypes(points=POINTS[:3]).nearest(
        POINTS[:3], k=5, without=np.array([0, 1, 2])
    )
    np.testing.assert_array_equal(np.sort(rows, axis=1), [[1, 2], [0, 2], [0, 1]])
    assert np.isfinite(distances).all()


def test_copies_of_a_record_are_all_found_at_no_distance():
    points = np.concatenate([POINTS, np.repeat(POINTS[:1], 4, axis=0)])
    distances, rows = Prototypes(points=points).nearest(POINTS[:1], k=6)
    assert set(rows[0, :5]) == {0, 500, 501, 502, 503}
    np.testing.assert_allclose(distances[0, :5], 0, atol=1e-5)
    assert distances[0, 5] > 0.01


def test_far_records_lose_no_more_than_rounding():
    # Given the farthest record there can be, and one a spread away from a prototype far out
    found = np.repeat(np.float32([[1e4], [200]]), 9, axis=1)
    points = np.concatenate([POINTS, found[1:] + np.float32(1)])
    distances, rows = Prototypes(points=points).nearest(found)
    expected = squares(found, points).min(axis=1)
    # Then the one is as far away as it is, and the other near to its own
    assert distances[0, 0] == pytest.approx(expected[0], rel=1e-5)
    assert distances[1, 0] == pytest.approx(expected[1], rel=0.02)
    assert rows[1, 0] == len(POINTS)


def test_no_distance_is_below_zero():
    # Given prototypes so far out that rounding alone would make it so
    points = 1000 + POINTS
    distances, _ = Prototypes(points=points).nearest(points, k=3)
    assert distances.min() == 0
    assert (distances >= 0).all()


def test_no_record_has_no_neighbours():
    distances, rows = Prototypes(points=POINTS).nearest(POINTS[:0], k=3)
    assert distances.shape == rows.shape == (0, 3)
    assert len(Prototypes(points=POINTS)) == 500
