from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemon.clock import format_duration, parse_duration, utc_now


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("1h30m", 5400), ("1d", 86400), ("250ms", 0.25), ("1.5h", 5400)],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 years", "-3s", "0s", "3s?", "1h 30"])
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match="is not"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**12))
def test_a_written_duration_reads_back(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


def test_now_carries_its_zone():
    assert utc_now().utcoffset() == timedelta(0)
