import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.cells import read_numbers
from aemon.detection.features.number_texts import NumberFormat
from aemon.detection.features.readings import Reading, find_reading
from aemon.errors import FrameError

N = 200
rng = np.random.default_rng(0)
NUMBERS = rng.normal(40, 5, N)


def found(cells, **settings):
    return find_reading(pd.Series(cells, name="flow"), "flow", ColumnSettings(**settings))


def test_plain_numbers_are_read_as_they_are():
    for cells in (NUMBERS, [f"{number:.3f}" for number in NUMBERS], ["open", "shut"] * 100):
        reading, apart = found(cells)
        assert not reading
        assert apart == ((), ())


def test_later_cells_are_read_as_those_learned_from():
    reading, _ = found([f"{number:.1f}".replace(".", ",") for number in NUMBERS])
    later = pd.Series(["1,5", "2.5", 3, None, "Bad", [4]], name="flow", dtype=object)
    numbers = read_numbers(reading.prepare(later))
    np.testing.assert_array_equal(numbers, [1.5, 2.5, 3, np.nan, np.nan, np.nan])
    assert later.tolist()[:2] == ["1,5", "2.5"]
    assert Reading.from_json(reading.as_json()) == reading


def test_two_readings_are_refused_with_a_value_and_a_way_out():
    with pytest.raises(
        FrameError, match=r"'flow' holds '41,[0-9]{3}', which is 41[0-9.]* or"
    ) as caught:
        found([f"{number:.3f}".replace(".", ",") for number in 41 + rng.random(N)])
    assert "columns: {decimal:" in caught.value.todo
    reading, _ = found([f"{n:.3f}".replace(".", ",") for n in NUMBERS], decimal=",")
    assert reading.format == NumberFormat(decimal=",")


def test_several_units_are_refused():
    cells = [f"{n:.1f} l/s" if i % 2 else f"{3.6 * n:.1f} m3/h" for i, n in enumerate(NUMBERS)]
    with pytest.raises(FrameError, match=r"mixes units: '.* (m3/h|l/s)' and '.* (m3/h|l/s)'"):
        found(cells)
    assert not found(["10mm", "3kg"] * 100)[0]
    assert not found([f"{i % 40}{['st', 'nd', 'rd', 'th'][i % 4]}" for i in range(N)])[0]


@pytest.mark.parametrize(
    "cells",
    [
        np.where(np.arange(N) % 50, NUMBERS, -999.0),
        [f"{n:.1f}" if i % 50 else "-999.0" for i, n in enumerate(NUMBERS)],
        [f"{n:.1f}".replace(".", ",") if i % 50 else "-999,0" for i, n in enumerate(NUMBERS)],
    ],
    ids=["numbers", "texts", "decimal comma"],
)
def test_a_known_mark_is_a_missing_cell_however_it_is_written(cells):
    reading, apart = found(cells)
    assert (reading.missing, apart) == (frozenset({"-999"}), ((-999,), ()))
    numbers = read_numbers(reading.prepare(pd.Series(cells)))
    assert np.flatnonzero(np.isnan(numbers)).tolist() == [0, 50, 100, 150]


def test_a_repeated_number_far_outside_is_missing_unless_configured_as_numeric():
    cells = np.where(np.arange(N) % 100, NUMBERS, 1850.0)
    assert found(cells)[0].missing == {"1850"}
    assert not found(cells, kinds={"flow": "numeric"})[0].missing


def test_what_the_configuration_lists_is_missing_everywhere():
    reading, _ = found(["open", "torn", "shut", "-1"] * 50, missing=[-1, "torn"])
    assert reading.prepare(pd.Series(["open", " torn ", "-1.0", "-1", -1])).tolist() == [
        "open", None, None, None, None,
    ]  # fmt: skip
    reading, _ = found(NUMBERS, missing=[-1])
    assert np.isnan(reading.prepare(pd.Series([-1, 2])).to_numpy()).tolist() == [True, False]
