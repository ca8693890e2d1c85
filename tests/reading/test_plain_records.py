"""Whatever a table holds, JSON says it, and both databases take it."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aemon.reading.plain_records import plain_records

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1.5, 1.5), (1e-300, 1e-300), (float("nan"), None), (float("inf"), None), (None, None),
        (pd.NA, None), (pd.NaT, None), (True, True), (2**70, 2**70), (np.int64(7), 7),
        (np.float32(2.5), 2.5), (np.bool_(False), False), ("on", "on"), ("a\x00b", "a␀b"),
        (MOMENT, "2026-03-01T12:00:00.000005+00:00"), (date(2026, 3, 1), "2026-03-01"),
        (time(8, 30), "08:30:00"), (Decimal("1.10"), 1.1), (Decimal("NaN"), None), (b"x", "b'x'"),
        ({"a": float("nan"), 2: (1, "\x00")}, {"a": None, "2": [1, "␀"]}),
    ],
)  # fmt: skip
def test_a_value_is_said_in_jsons_types(value, plain):
    (record,) = plain_records(pd.DataFrame({"it": pd.Series([value], dtype=object)}))
    assert record == {"it": plain}
    assert type(record["it"]) is type(plain)
    json.dumps(record, allow_nan=False)


def test_columns_of_all_kinds_keep_their_values():
    table = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "text": pd.Series(["a", None], dtype="str"),
            "time": pd.to_datetime([MOMENT, None], utc=True),
            3: [0.1, np.inf],
        }
    )
    assert plain_records(table) == [
        {"whole": 1, "text": "a", "time": MOMENT.isoformat(), "3": 0.1},
        {"whole": None, "text": None, "time": None, "3": None},
    ]


def test_records_without_columns_are_records_all_the_same():
    assert plain_records(pd.DataFrame(index=[0, 1])) == [{}, {}]
