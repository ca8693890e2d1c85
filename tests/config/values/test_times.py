"""Times as a configuration writes them: pauses that are too short, windows by count or stretch."""

from datetime import timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from aemon.config.values.times import Pause, Schedule, Together


@pytest.mark.parametrize("kind", [Pause, Schedule])
def test_nothing_is_done_more_often_than_a_hundred_times_a_second(kind):
    adapter = TypeAdapter(kind)
    assert adapter.validate_python("10ms") == timedelta(milliseconds=10)
    with pytest.raises(ValidationError, match="at least 10ms"):
        adapter.validate_python("1ms")


def test_a_duration_that_is_too_long_is_told_so():
    with pytest.raises(ValidationError, match="at most 36500d, a hundred years"):
        TypeAdapter(Pause).validate_python("99999999999999d")


@pytest.mark.parametrize(
    ("written", "read", "again"),
    [
        (4, 4, 4),
        (np.int64(8), 8, 8),
        ("10m", timedelta(minutes=10), "10m"),
        (timedelta(seconds=30), timedelta(seconds=30), "30s"),
        (None, None, None),
    ],
)
def test_a_window_is_a_count_or_a_stretch(written, read, again):
    adapter = TypeAdapter(Together)
    assert adapter.validate_python(written) == read
    assert adapter.dump_python(read) == again


@pytest.mark.parametrize("written", [0, 65, True, "8", "soon", 1.5, [4]])
def test_other_windows_are_refused(written):
    with pytest.raises(ValidationError, match="records"):
        TypeAdapter(Together).validate_python(written)
