import numpy as np
import pytest

from aemon.detection.lesson import contiguous_folds
from tests.detection.lessons import lesson_of, records


@pytest.mark.parametrize(("count", "members"), [(100, 3), (25, 4), (20, 20), (7, 2)])
def test_folds_are_stretches_of_equal_length_in_the_order_of_time(count, members):
    folds = contiguous_folds(count, members)
    assert (np.diff(folds) >= 0).all()
    sizes = np.bincount(folds, minlength=members)
    assert sizes.sum() == count
    assert np.ptp(sizes) <= 1


def test_a_single_member_is_tried_on_the_newest_fifth():
    np.testing.assert_array_equal(contiguous_folds(10, 1), [-1] * 8 + [0] * 2)


def test_no_member_learns_from_its_own_fold():
    lesson = lesson_of(records(100, 0), members=3)
    assert len(lesson) == 100
    for m, pool in enumerate(lesson.pools):
        assert not (lesson.folds[pool] == m).any()
        assert len(set(pool)) == len(pool) == 66
