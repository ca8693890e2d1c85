from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aemon.detection.features.cells import read_cells, read_numbers, read_texts, sort_of

STRANGE = [
    {"a": 1}, [1], (1, [2]), {1}, b"1.5", bytearray(b"1"), memoryview(b"1"), np.array([1, 2]),
    1 + 2j, "ERR", pd.Timestamp("2026-01-01"), pd.Timedelta(1), pd.Period("2026"),
    np.timedelta64(1, "s"),
]  # fmt: skip


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_unreadable_and_its_neighbours_are_read(value):
    column = pd.Series([1.5, None, "2", None, True], dtype=object)
    column.iloc[3] = value
    cells = read_cells(column)
    np.testing.assert_array_equal(cells.numbers, [1.5, np.nan, 2, np.nan, 1])
    assert cells.missing.tolist() == [False, True, False, False, False]
    assert cells.unreadable.tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    "value", ["inf", "-inf", " Infinity ", np.inf, Decimal("-Infinity"), 10**400, 1e300, "1e400"]
)
def test_an_infinity_in_any_writing_is_infinite_and_not_unreadable(value):
    cells = read_cells(pd.Series(["1", value], dtype=object))
    assert np.isnan(cells.numbers).tolist() == [False, True]
    assert cells.infinite.tolist() == [False, True]
    assert not cells.unreadable.any()


@pytest.mark.parametrize("value", ["nan", "NaN", "", "  ", None, np.nan, pd.NA, Decimal("NaN")])
def test_nothing_in_any_writing_is_missing_and_not_unreadable(value):
    cells = read_cells(pd.Series(["1", value], dtype=object))
    assert cells.missing.tolist() == [False, True]
    assert not cells.unreadable.any()


def test_words_are_read_where_truths_are_wanted():
    column = pd.Series(["on", "No", "1", "maybe", None, [1]], dtype=object)
    cells = read_cells(column, truths=True)
    np.testing.assert_array_equal(cells.numbers, [1, 0, 1, np.nan, np.nan, np.nan])
    assert cells.unreadable.tolist() == [False, False, False, True, False, True]


def test_times_are_not_read_as_so_many_nanoseconds():
    assert np.isnan(read_numbers(pd.Series(pd.date_range("2026-01-01", periods=3)))).all()


def test_cells_without_a_name_to_go_by_are_no_texts():
    column = pd.Series(["x", {"y": 1}, [1], b"x", None, 1, 1.0, "1"], dtype=object)
    texts, codes = read_texts(column)
    assert texts == ["x", "1"]
    assert codes.tolist() == [0, -1, -1, -1, -1, 1, 1, 1]


def test_every_cell_is_of_one_sort():
    sorts = {repr(value): sort_of(type(value)) for value in STRANGE}
    assert list(sorts.values()) == [
        "nested", "nested", "nested", "nested", "binary", "binary", "binary", "nested",
        "complex", "text", "time", "duration", "time", "duration",
    ]  # fmt: skip
