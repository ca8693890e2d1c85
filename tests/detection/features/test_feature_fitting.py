import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.features.feature_map import LARGEST_FEATURE
from aemon.errors import FrameError, TrainingError

N = 200
AUTO = ColumnSettings()
rng = np.random.default_rng(0)
STEADY = rng.normal(size=N)


def kinds_of(feature_map):
    return {report.column: report.kind for report in feature_map.columns}


def test_words_can_be_configured_as_booleans(make_frame):
    frame = make_frame({"a": STEADY, "valve": ["On", "off"] * 100})
    feature_map = fit_features(frame, ColumnSettings(kinds={"valve": "boolean"}))
    features, _ = feature_map.transform(frame)
    assert features[0, 1] == 1
    assert features[1, 1] == -1


def test_two_columns_of_one_name_are_refused(make_frame):
    frame = make_frame(np.stack([STEADY, STEADY], axis=1))
    frame.values.columns = ["id", "id"]
    with pytest.raises(FrameError, match="more than one column is named 'id'"):
        fit_features(frame, AUTO)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"flat": np.full(N, 7.0)},
        {"flat": np.full(N, 0.1), "empty": [None] * N, "mode": ["eco"] * N},
        {"serial": [f"s{i}" for i in range(N)]},
    ],
    ids=str,
)
def test_a_table_with_nothing_to_learn_is_refused_with_reasons(make_frame, table):
    with pytest.raises(TrainingError, match="nothing to learn from: ") as caught:
        fit_features(make_frame(table), AUTO)
    assert caught.value.todo
    for column in table:
        assert column in str(caught.value)


def test_a_refusal_says_once_what_several_columns_have_in_common(make_frame):
    notes = [f"note {i}" for i in range(N)]
    table = {"flow": np.full(N, 1.0), "pressure": np.full(N, 2.0), "note": notes}
    with pytest.raises(TrainingError) as caught:
        fit_features(make_frame(table), AUTO)
    assert caught.value.message == (
        "nothing to learn from: flow and pressure (constant); "
        "note (an identifier, 200 different texts in 200 records)"
    )


def test_features_are_centred_on_the_training_records_with_unit_spread(make_frame):
    frame = make_frame({"a": 1e6 + 3 * STEADY, "b": STEADY / 1e6})
    features, mask = fit_features(frame, AUTO).transform(frame)
    assert mask.all()
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


def test_infinite_values_are_missing_cells_and_move_no_mean(make_frame):
    # Given training records with infinities and a sentinel among them
    cells = STEADY.copy()
    cells[:3] = [np.inf, -np.inf, 1e300]
    frame = make_frame({"a": cells, "b": STEADY})
    # When they are learned
    feature_map = fit_features(frame, AUTO)
    features, mask = feature_map.transform(frame)
    # Then the scale is that of the others
    assert feature_map.means[0] == pytest.approx(STEADY[3:].mean())
    assert not mask[:3, 0].any()
    assert mask[3:].all()
    assert (features[:3, 0] == 0).all()


def test_a_constant_column_stays_weightless_when_it_starts_to_move(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "flat": np.full(N, 7.0)}), AUTO)
    features, _ = feature_map.transform(make_frame({"a": [0.0], "flat": [1e9]}))
    assert feature_map.weights.tolist() == [1, 0]
    assert features[0, 1] == 0


def test_rounding_noise_is_no_variation(make_frame):
    noise = 1e9 + rng.choice([0, 1.2e-7], N)
    feature_map = fit_features(make_frame({"a": STEADY, "flat": noise}), AUTO)
    assert feature_map.weights.tolist() == [1, 0]


def test_an_unseen_category_has_a_place_of_its_own(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "mode": ["eco", "full"] * 100}), AUTO)
    features, mask = feature_map.transform(
        make_frame({"a": [0, 0, 0], "mode": ["eco", "stuck", None]})
    )
    assert len(feature_map) == 1 + 2 + 1
    assert features[0, 3] == 0
    assert features[1, 3] > 0
    assert mask[:2].all()
    assert mask[2].tolist() == [True, False, False, False]


def test_a_number_is_the_same_category_with_and_without_its_point(make_frame):
    frame = make_frame({"a": STEADY, "grade": [1, 2] * 100})
    feature_map = fit_features(frame, ColumnSettings(kinds={"grade": "categorical"}))
    later = make_frame({"a": [0.0, 0.0, 0.0], "grade": [1.0, 2.0, np.nan]})  # a null made floats
    first = make_frame({"a": [0.0, 0.0], "grade": ["1", "2"]})
    np.testing.assert_array_equal(
        feature_map.transform(later)[0][:2], feature_map.transform(first)[0]
    )


def test_entities_are_context_without_weight_and_an_unknown_one_is_all_zeros(make_frame):
    frame = make_frame({"a": STEADY}, entities=["p1", "p2"] * 100)
    feature_map = fit_features(frame, AUTO)
    assert feature_map.entities == ("p1", "p2")
    assert feature_map.weights.tolist() == [1, 0, 0]
    assert kinds_of(feature_map)["(entity)"] == "context"
    features, _ = feature_map.transform(make_frame({"a": [0.0] * 3}, entities=["p1", "p9", ""]))
    assert features[0, 1] > 0 > features[0, 2]
    assert (features[1:, 1:] == 0).all()


@pytest.mark.parametrize("entities", [["only"] * N, [""] * N, [f"p{i}" for i in range(N)]])
def test_one_entity_or_too_many_are_no_context(make_frame, entities):
    feature_map = fit_features(make_frame({"a": STEADY}, entities=entities), AUTO)
    assert feature_map.entities == ()
    assert len(feature_map) == 1


def test_a_column_that_vanished_is_named_with_what_to_do(make_frame):
    feature_map = fit_features(make_frame({"pressure": STEADY, "flow": STEADY}), AUTO)
    with pytest.raises(FrameError) as caught:
        feature_map.transform(make_frame({"flow": [1.0]}))
    assert "column 'pressure', which this detector was trained on, is missing" in str(caught.value)
    assert caught.value.todo == "restore the column, or train again with `aemon train`"


def test_a_constant_column_may_vanish(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "flat": np.full(N, 7.0)}), AUTO)
    _, mask = feature_map.transform(make_frame({"a": [0.0]}))
    assert mask.tolist() == [[True, False]]


def test_new_columns_and_another_order_change_nothing(make_frame):
    frame = make_frame({"a": STEADY, "b": STEADY**2})
    feature_map = fit_features(frame, AUTO)
    turned = make_frame({"new": STEADY, "b": STEADY**2, "a": STEADY})
    np.testing.assert_array_equal(feature_map.transform(frame)[0], feature_map.transform(turned)[0])


@pytest.mark.parametrize(
    "cells",
    [
        ["high", "low"] * 10,
        ["high"] * 20 + ["1.5"] * 19,
        ["high"] * 20 + ["inf", "nan", "", None] * 20,
        pd.date_range("2026-01-01", periods=20),
        [{"value": 1.5}] * 20,
    ],
    ids=["words", "mostly words", "words and gaps", "times", "nested"],
)
def test_a_numeric_column_that_turned_into_something_else_is_missing_and_told(make_frame, cells):
    feature_map = fit_features(make_frame({"pressure": STEADY, "flow": STEADY}), AUTO)
    frame = make_frame({"pressure": cells, "flow": [1.0] * len(cells)})
    read = feature_map.read(frame)
    assert [each.column for each in read.unreadable] == ["pressure"]
    assert "values cannot be read as numbers, taken as missing: " in str(read.unreadable[0])
    _, mask = feature_map.transform(frame)
    assert mask[:, 1].all()


@pytest.mark.parametrize("cells", [["high", "low"] * 10, [{"value": 1.5}] * 20])
def test_records_of_which_no_column_can_be_read_any_more_are_refused(make_frame, cells):
    feature_map = fit_features(make_frame({"pressure": STEADY, "flow": STEADY}), AUTO)
    with pytest.raises(FrameError, match="'pressure', learned as numbers, now holds"):
        feature_map.read(make_frame({"pressure": cells, "flow": cells}))


@pytest.mark.parametrize(
    "cells",
    [
        ["ERR"],
        ["ERR"] * 19,
        ["ERR"] * 20 + ["1.5"] * 20,
        ["inf", "-inf", "Infinity", "-Infinity", "nan", "NaN", "", " "] * 10,
        [np.inf] * 50,
        [None] * 50,
    ],
    ids=["one", "few", "half", "infinite text", "infinite", "null"],
)
def test_glitches_and_gaps_are_missing_cells_and_no_change_of_type(make_frame, cells):
    feature_map = fit_features(make_frame({"a": STEADY, "b": STEADY}), AUTO)
    frame = make_frame({"a": cells, "b": [1.0] * len(cells)})
    _, mask = feature_map.transform(frame)
    assert mask[:, 0].tolist() == [cell == "1.5" for cell in cells]
    assert mask[:, 1].all()


def test_a_text_column_that_turned_into_nested_values_is_missing_and_told(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "mode": ["eco", "full"] * 100}), AUTO)
    nested = make_frame({"a": [1.0] * 20, "mode": [{"name": "eco"}] * 20})
    (unreadable,) = feature_map.read(nested).unreadable
    assert str(unreadable) == (
        "mode: 20 of 20 values cannot be read as text, taken as missing: {'name': 'eco'}"
    )


def test_the_text_of_a_type_error_is_short(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY}), AUTO)
    with pytest.raises(FrameError) as caught:
        feature_map.read(make_frame({"a": ["x" * 5000] * 20}))
    assert len(str(caught.value)) < 300


def test_sporadic_unreadable_cells_are_missing_cells(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "mode": ["x", "y"] * 100}), AUTO)
    later = make_frame({"a": ["1", "ERR", [2], None], "mode": ["x", {"y": 1}, b"y", ("x",)]})
    _, mask = feature_map.transform(later)
    assert mask[:, 0].tolist() == [True, False, False, False]
    assert mask[:, 1].tolist() == [True, False, False, False]


def test_expected_numbers_stay_near_the_range_seen_and_on_its_side_of_zero(make_frame):
    table = {
        "cpu": np.linspace(0, 100, N),
        "frost": np.linspace(-40, -1, N),
        "room": np.linspace(-10, 30, N),
        "flat": np.full(N, 7.0),
    }
    there_and_back = {name: np.r_[cells[::2], cells[::-2]] for name, cells in table.items()}
    feature_map = fit_features(make_frame(there_and_back), AUTO)
    assert feature_map.plausible(np.full((1, 4), 1e6)).tolist() == [[110, 0, 34, 7]]
    np.testing.assert_allclose(feature_map.plausible(np.full((1, 4), -1e6)), [[0, -43.9, -14, 7]])
    inside = np.array([[104, -0.5, 0, 7]])
    np.testing.assert_array_equal(feature_map.plausible(inside), inside)


def test_an_infinite_batch_is_missing_not_another_type(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "b": STEADY}), AUTO)
    _, mask = feature_map.transform(make_frame({"a": [np.inf], "b": [1.0]}))
    assert mask.tolist() == [[False, True]]


def test_transform_leaves_the_frame_as_it_was(make_frame):
    frame = make_frame({"a": [1.0, np.inf, 3.0] * 50, "mode": ["x", "y", None] * 50})
    before = frame.values.copy(deep=True)
    fit_features(frame, AUTO).transform(frame)
    pd.testing.assert_frame_equal(frame.values, before)


def test_an_empty_frame_has_no_features(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "mode": ["x", "y"] * 100}), AUTO)
    features, mask = feature_map.transform(make_frame({"a": [], "mode": []}))
    assert features.shape == mask.shape == (0, 4)


@settings(deadline=None, max_examples=50)
@given(
    cells=hnp.arrays(np.float64, st.integers(20, 40), elements=st.floats(width=64)),
    later=hnp.arrays(np.float64, st.integers(1, 10), elements=st.floats(width=64)),
)
def test_whatever_the_numbers_features_are_bounded(cells, later):
    from aemon.frame import Frame

    def frame(values):
        n = len(values)
        empty = np.full(n, "", dtype=object)
        table = pd.DataFrame({"a": values, "b": np.arange(n, dtype=float)})
        return Frame(times=np.zeros(n, "datetime64[us]"), keys=empty, entities=empty, values=table)

    features, mask = fit_features(frame(cells), AUTO).transform(frame(later))
    assert np.isfinite(features).all()
    assert np.abs(features).max() <= LARGEST_FEATURE
    assert (features[~mask] == 0).all()
