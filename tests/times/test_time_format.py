import pytest

from aemon.times.time_format import check_time_format


@pytest.mark.parametrize(
    "text", ["excel", "ticks", "%d.%m.%Y %H:%M:%S", "%Y%j", "%m/%d/%y %I:%M %p", "%c %z"]
)
def test_a_format_with_a_date_is_taken(text):
    assert check_time_format(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exel", "neither"),
        ("%H:%M", "no whole date"),
        ("%Y-%m", "no whole date"),
        ("%Q", "not a format"),
    ],
)
def test_a_format_that_reads_no_time_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        check_time_format(text)
