from typing import get_args

import pytest

from aemon.config.detector_settings import DetectorKind
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS


def test_every_kind_that_can_be_configured_is_in_the_table():
    assert tuple(KINDS) == get_args(DetectorKind)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_what_it_does_in_one_line(name):
    summary = KINDS[name].summary
    assert 20 < len(summary) < 80
    assert "\n" not in summary
    assert not summary.endswith(".")
