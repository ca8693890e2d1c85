"""Conditions held against records, in the logic of SQL."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.values.conditions import parse_condition
from aemon.detection.features.number_texts import NumberFormat
from aemon.detection.features.readings import Reading
from aemon.detection.operation.condition_answers import hold

RECORDS = pd.DataFrame({
    "speed": [5, 11, None, 20],
    "state": ["run", "off", None, "run"],
    "on": ["yes", "no", "x", None],
    "bit": [True, False, True, False],
    "wanted": [5.0, 12, 1, 20],
    "code": ["1", "2", None, " 1 "],
})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("speed > 10", "0 1 ? 1"),
        ("not speed > 10", "1 0 ? 0"),
        ("speed > 10 or state == 'run'", "1 1 ? 1"),
        ("speed > 10 and state == 'run'", "0 0 ? 1"),
        ("speed > 10 and wanted > 1", "0 1 0 1"),
        ("speed > 10 or wanted < 2", "0 1 1 1"),
        ("speed == wanted", "1 0 ? 1"),
        ("speed != wanted", "0 1 ? 0"),
        ("state != 'run'", "0 1 ? 0"),
        ("state == code", "0 0 ? 0"),
        ("code == 1", "1 0 ? 1"),
        ("code == '1'", "1 0 ? 1"),
        ("code in [2, 'x']", "0 1 ? 0"),
        ("state not in ['run']", "0 1 ? 0"),
        ("on", "1 0 ? ?"),
        ("on == false", "0 1 ? ?"),
        ("bit", "1 0 1 0"),
        ("speed is missing", "0 0 1 0"),
        ("speed > 10 or speed is missing", "0 1 1 1"),
        ("state > 3", "? ? ? ?"),
    ],
)
def test_what_holds_and_what_stays_open(text, answers):
    found = hold(parse_condition(text), RECORDS)
    assert " ".join(np.where(found.open, "?", np.where(found.holds, "1", "0"))) == answers


def test_cells_are_read_as_the_columns_of_a_detector_are():
    values = pd.DataFrame({"speed": ["1.234,5", "-999", "3,0"]})
    reading = Reading(format=NumberFormat(decimal=",", group="."), missing=frozenset({"-999"}))
    found = hold(parse_condition("speed > 1000"), values, {"speed": reading})
    assert found.holds.tolist() == [True, False, False]
    assert found.open.tolist() == [False, True, False]
