import numpy as np
import pytest

from aemon.detection.features.marks import FarNumbers, find_far_numbers

NORMAL = np.random.default_rng(0).normal(4, 0.5, 1000)


def with_each(number, every=200):
    cells = NORMAL.copy()
    cells[::every] = number
    return cells


@pytest.mark.parametrize("mark", [-999, 9999, -9999, 99999, 6553.5, 65535, 32767, -32768, -99])
def test_marks_that_loggers_write_for_missing_are_known(mark):
    assert find_far_numbers(with_each(mark)) == FarNumbers((mark,), ())


def test_marks_at_both_ends_and_a_single_one_are_found():
    cells = with_each(-999)
    cells[1] = 9999
    assert find_far_numbers(cells).marks == (-999, 9999)


@pytest.mark.parametrize("number", [-777, 500, 850, 1e6])
def test_any_other_repeated_number_far_outside_is_named(number):
    assert find_far_numbers(with_each(number)) == FarNumbers((), (number,))


def test_numbers_far_outside_at_both_ends_are_named():
    cells = np.concatenate([NORMAL, [1e9, 1e9, -1e9, -1e9]])
    assert set(find_far_numbers(cells).suspects) == {1e9, -1e9}


@pytest.mark.parametrize(
    "cells",
    [
        NORMAL,
        with_each(0),
        np.where(np.arange(1000) % 200, 0.0, 1.0),
        np.random.default_rng(1).lognormal(0, 3, 1000),
        np.random.default_rng(2).integers(0, 2000, 1000).astype(float),
        np.concatenate([NORMAL, [1e9]]),
        with_each(500, every=4),
        np.full(1000, np.nan),
    ],
    ids=["normal", "off", "rare bit", "heavy tail", "counts", "one slip", "a state", "empty"],
)
def test_what_belongs_to_a_column_stays_in_it(cells):
    assert find_far_numbers(cells) == FarNumbers((), ())
