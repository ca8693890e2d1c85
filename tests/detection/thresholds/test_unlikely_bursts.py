"""What is a burst that no chance makes."""

import numpy as np
import pytest

from aemon.detection.thresholds.unlikely_bursts import (
    FAULT_LONG,
    FAULT_PEAK,
    FAULT_RECORDS,
    in_faults,
)


def records(*exceedances, entity="p1"):
    return np.array(exceedances, float), np.full(len(exceedances), entity, dtype=object)


@pytest.mark.parametrize(
    ("exceedances", "fault"),
    [
        ([0.5, *[3.0] * FAULT_RECORDS, 0.5], [0, *[1] * FAULT_RECORDS, 0]),
        ([1.1, 1.2, 9.0, 1.2, 1.1], [1, 1, 1, 1, 1]),  # its mild records, too
        ([1.1, 1.2, 9.0, 1.2], [0, 0, 0, 0]),  # too short
        ([1.1, 1.2, FAULT_PEAK, 1.2, 1.1], [0, 0, 0, 0, 0]),  # not far over the line
        ([3.0, 3.0, 0.5, np.nan, 3.0, 3.0, 3.0], [1, 1, 0, 0, 1, 1, 1]),  # a short gap
        ([3.0, 3.0, 0.5, 0.5, 0.5, 3.0, 3.0, 3.0], [0] * 8),  # a long one makes two of them
        ([1.1] * FAULT_LONG, [1] * FAULT_LONG),  # however mild
        ([1.1] * (FAULT_LONG - 1), [0] * (FAULT_LONG - 1)),
        ([], []),
    ],
)
def test_a_row_that_is_long_and_far_over_the_line_is_a_fault(exceedances, fault):
    assert in_faults(*records(*exceedances)).tolist() == [bool(one) for one in fault]


def test_a_row_is_one_entitys():
    exceedances = np.full(8, 3.0)
    entities = np.array(["a", "b"] * 4, dtype=object)
    assert not in_faults(exceedances, entities).any()
    more = np.full(10, 3.0)
    assert in_faults(more, np.array(["a", "b"] * 5, dtype=object)).all()


def test_a_row_that_goes_on_is_none_yet_unless_that_is_asked_for():
    exceedances, entities = records(0.5, 1.5, 0.5, 0.5, 0.5, 0.5, 1.2, 1.5)
    assert not in_faults(exceedances, entities).any()
    assert in_faults(exceedances, entities, begun=True).tolist() == [False] * 6 + [True] * 2
