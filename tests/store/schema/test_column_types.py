"""What a JSON column gives back of values that somebody else wrote."""

import json
import logging

import pytest
from sqlalchemy.dialects import sqlite

from aemon.store.schema.column_types import Json

HUGE = 10**400


def read(stored: object) -> object:
    return Json(numbers=True).process_result_value(json.dumps(stored), sqlite.dialect())


@pytest.mark.parametrize(
    "numbers", [{}, {"flow": 1}, {"flow": -0.5, "pressure": 2}, {"flow": 1e308, "pressure": 1e308}]
)
def test_numbers_are_read_as_they_are(numbers, caplog):
    with caplog.at_level(logging.WARNING):
        assert read(numbers) == numbers
    assert not caplog.records


@pytest.mark.parametrize("junk", [True, None, "1", [1], float("nan"), float("inf"), HUGE])
def test_what_is_no_number_is_passed_over_and_the_numbers_beside_it_stay(junk):
    assert read({"flow": 0.5, "pressure": junk}) == {"flow": 0.5}
