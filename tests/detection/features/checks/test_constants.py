import numpy as np
import pytest

from aemon.detection.features.checks.constants import Constant, decimals_of


@pytest.mark.parametrize(
    ("usual", "later", "moved"),
    [
        (0.0, 1.0, True),
        (0.0, 0.3, True),
        (0.0, 1e-12, False),
        (50.0, 55.0, True),
        (20.0, 20.5, True),
        (50.0, 50.3, False),
        (1013.0, 1014.0, False),
        (1013.0, 1015.0, True),
        (2.97, 2.98, False),
        (2.97, 2.9701, False),
        (2.97, 3.1, True),
        (0.1 + 0.2, 0.3, False),
        (0.0, np.nan, False),
    ],
)
def test_a_number_has_moved_beyond_its_rounding(usual, later, moved):
    constant = Constant.of_number("a", usual, 1000)
    assert constant.moved(np.array([usual, later])).tolist() == [False, moved]


def test_another_text_has_moved_and_a_missing_one_has_not():
    constant = Constant(column="status", value="RUN", tolerance=0, records=1000)
    read = (["RUN", "FAULT"], np.array([0, 1, -1]))
    assert constant.differing(read, 3).tolist() == [False, True, False]
    assert constant.differing(None, 3).tolist() == [False] * 3


def test_the_reason_names_both_values():
    alarm = Constant.of_number("alarm", 0.0, 1000)
    assert alarm.reason(1.0) == "alarm 1, where it was always 0 in all 1000 training records"
    assert alarm.reason(True) == (
        "alarm true, where it was always false in all 1000 training records"
    )
    status = Constant(column="status", value="RUN", tolerance=0, records=200)
    assert status.reason("FAULT") == (
        "status 'FAULT', where it was always 'RUN' in all 200 training records"
    )


@pytest.mark.parametrize(
    ("numbers", "decimals"), [([1.25, 3.5], 2), ([4.0], 0), ([np.pi], -1), ([1e12 + 0.5], 1)]
)
def test_decimals_are_counted(numbers, decimals):
    assert decimals_of(np.array(numbers)) == decimals
