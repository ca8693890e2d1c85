import numpy as np
import pytest

from aemon.detection.features.number_texts import Doubt, NumberFormat, infer_format


def inferred(texts, decimal=None):
    return infer_format(texts, [1] * len(texts), decimal)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["19,0", "4,1", "-3,25"], [19.0, 4.1, -3.25]),
        (["1.234,5", "12,5", "999"], [1234.5, 12.5, 999]),
        (["1,234.5", "12.5", "1,000"], [1234.5, 12.5, 1000]),
        (["1,234", "12.5"], [1234, 12.5]),
        (["1 234.5", "3", "12\u00a0000"], [1234.5, 3, 12000]),
        (["1\u202f234,5", "3,0"], [1234.5, 3]),
        (["1'234", "2"], [1234, 2]),
        (["4.1 bar", "5 bar", "12bar"], [4.1, 5, 12]),
        (["12 %", "3,5 %"], [12, 3.5]),
        (["12.5 m3/h", "3 m3/h"], [12.5, 3]),
        (["850 W/m2", "900.5 W/m2"], [850, 900.5]),
        (["20,5 °C", "-1,0 °C"], [20.5, -1]),
        (["\u22124,1", "+2,0"], [-4.1, 2]),
        (["1,5e3", "2,0E-1"], [1500, 0.2]),
        (["0.5", "1.234"], [0.5, 1.234]),
        (["0,234", "0,5"], [0.234, 0.5]),
        (["1.234.567", "2.345.678"], [1234567, 2345678]),
        (["12.345", "1.234"], [12.345, 1.234]),
    ],
)
def test_numbers_are_read_where_only_one_reading_is_possible(texts, numbers):
    found = inferred(texts)
    assert isinstance(found, NumberFormat)
    np.testing.assert_allclose([found.number(text) for text in texts], numbers)


@pytest.mark.parametrize("texts", [["1,234", "2,345"], ["1,234 kW", "900 kW"]])
def test_two_readings_are_a_doubt_that_the_decimal_mark_settles(texts):
    found = inferred(texts)
    assert isinstance(found, Doubt)
    assert found.text == texts[0]
    assert found.numbers == (1234, 1.234)
    assert [inferred(texts, mark).number(texts[0]) for mark in ".,"] == [1234, 1.234]


def test_another_minus_sign_is_a_format_of_its_own():
    """As they are, such cells would be words."""
    found = inferred(["\u22124.1", "2.0", "0.5"])
    assert found != NumberFormat()
    assert found.number("\u22124.1") == -4.1
    assert str(found) == "the minus sign \u2212"


def test_a_stray_comma_does_not_make_thousands_of_decimals():
    texts = [f"{i}.125" for i in range(1, 99)] + ["1,5"]
    assert inferred(texts) == NumberFormat()


@pytest.mark.parametrize(
    "texts",
    [
        ["Bad", "Good"],
        ["1st", "2nd"],
        ["192.168.100.101", "192.168.100.102"],
        ["12:30", "12:31"],
        ["1,2,3", "4,5,6"],
        ["2026-01-31", "2026-02-01"],
    ],
)
def test_other_texts_are_no_numbers(texts):
    assert inferred(texts) is None


def test_several_units_are_no_unit():
    assert inferred(["4.1 bar", "410 kPa"]) is None
