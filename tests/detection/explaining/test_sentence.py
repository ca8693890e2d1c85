import pytest

from aemon.detection.explaining.sentence import number_pair, sentence
from aemon.detection.judgement import Contribution

KINDS = {
    "valve": {"open": 0.93, "closed": 0.07},
    "country": {"DE": 0.6, "FR": 0.3, "NL": 0.09, "LI": 0.01},
}
UNITS = {"pressure": "bar", "load": "%"}


def part(column, observed, reconstructed):
    return Contribution(
        column=column, observed=observed, reconstructed=reconstructed, error=9, share=1, rank=1
    )


def told(*parts, given=()):
    return sentence(parts, given, KINDS, UNITS)


def test_a_sentence_tells_what_was_seen_what_was_expected_and_why():
    assert (
        told(part("pressure", 2.1, 4.02), given=("flow", "valve"))
        == "pressure 2.1 bar where 4.0 was expected, given flow and valve"
    )
    assert (
        told(part("room", 60.0, 20.5), part("valve", "closed", "open"), given=("flow",))
        == "room 60 where 20 was expected, given flow; valve closed where open was expected"
    )
    assert told() == "every value is as expected"


def test_truths_are_told_as_words():
    assert told(part("on", False, True)) == "on false where true was expected"
    probable = "on false where true with probability 0.62 was expected"
    assert told(part("on", False, 0.62)) == probable


def test_a_category_never_seen_is_expected_by_nothing():
    assert told(part("valve", "torn", "open"), given=("flow",)) == (
        "valve 'torn' never seen in training"
    )


def test_the_commonest_category_is_not_expected_for_being_so():
    assert told(part("country", "NL", "DE")) == "country NL unusual given the other columns"
    assert told(part("country", "LI", "DE")) == ("country LI, which only 1 % of the records have")
    assert told(part("country", "NL", "DE"), given=("amount",)) == (
        "country NL where DE was expected, given amount"
    )


def test_a_value_as_expected_is_not_contrasted_with_itself():
    unusual = "load 0 % unusual given the other columns"
    assert told(part("load", 0.0, 0.0), given=("flow",)) == unusual
    assert told(part("on", True, True)) == "on true unusual given the other columns"


@pytest.mark.parametrize(
    ("observed", "expected", "told"),
    [
        (2.1, 4.0137, ("2.1", "4.0")),
        (61.99, 35.95, ("62", "36")),
        (1234.6, 1800, ("1235", "1800")),
        (1013.25, 1013.41, ("1013.25", "1013.41")),
        (0.002, 0.9, ("0.00", "0.90")),
        (-0.04, 9.5, ("0.0", "9.5")),
        (1_234_567.0, 7.25, ("1234567", "7")),
        (1e-7, 2e-7, ("1e-07", "2e-07")),
        (-3.0, 1e12, ("-3", "1e+12")),
        (1e9, 56.12, ("1e+09", "56.1")),
        (0.1 + 0.2, 0.3, ("0.3", "0.3")),
        (0.0, 0.0, ("0", "0")),
    ],
)
def test_two_numbers_have_the_decimals_it_takes_and_equally_many(observed, expected, told):
    assert number_pair(observed, expected) == told
