from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aemon.config.schema import ColumnSettings
from aemon.detection.feature_map import LARGEST_FEATURE
from aemon.detection.features import fit_features
from aemon.errors import FrameError, TrainingError

N = 200
AUTO = ColumnSettings()
rng = np.random.default_rng(0)
STEADY = rng.normal(size=N)


def kinds_of(feature_map):
    return {report.column: report.kind for report in feature_map.columns}


def reason_of(feature_map, column):
    return next(report.reason for report in feature_map.columns if report.column == column)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (rng.normal(size=N), "numeric"),
        (rng.integers(0, 9, N), "numeric"),
        (pd.array([1, None, 3, 4] * 50, dtype="Int64"), "numeric"),
        ([Decimal("1.5"), Decimal("2.5"), None, Decimal(3)] * 50, "numeric"),
        ([10**25, 2 * 10**25, 5, None] * 50, "numeric"),
        (["1.5", "2", " 3 ", ""] * 50, "numeric"),
        (["1.5", "2", "3", "4"] * 49 + ["5", "6", "7", "ERR"], "numeric"),
        ([True, False] * 100, "boolean"),
        ([True, None, False, True] * 50, "boolean"),
        (pd.array([True, None, False, True] * 50, dtype="boolean"), "boolean"),
        ([0, 1] * 100, "boolean"),
        (["0", "1"] * 100, "boolean"),
        (["open", "shut", None, "half"] * 50, "categorical"),
        (pd.Categorical(["open", "shut"] * 100), "categorical"),
        ([f"serial {i}" for i in range(N)], "ignored"),
        ([f"note {i % 80}" for i in range(N)], "ignored"),
        (pd.date_range("2026-01-01", periods=N), "ignored"),
        (pd.date_range("2026-01-01", periods=N, tz="Europe/Berlin"), "ignored"),
        (pd.to_timedelta(np.arange(N), unit="s"), "ignored"),
        ([None] * N, "ignored"),
        (np.full(N, np.nan), "ignored"),
        (np.full(N, np.inf), "ignored"),
    ],
    ids=str,
)
def test_a_columns_kind_is_chosen_from_its_cells(make_frame, cells, kind):
    frame = make_frame({"steady": STEADY, "column": cells})
    feature_map = fit_features(frame, AUTO)
    assert kinds_of(feature_map)["column"] == kind
    features, mask = feature_map.transform(frame)
    assert features.dtype == np.float32
    assert features.shape == mask.shape == (N, len(feature_map))
    assert np.isfinite(features).all()
    assert (features[~mask] == 0).all()


def test_reports_say_why(make_frame):
    frame = make_frame(
        {
            "steady": STEADY,
            "flat": np.full(N, 7.0),
            "empty": [None] * N,
            "serial": [f"s{i}" for i in range(N)],
        }
    )
    feature_map = fit_features(frame, AUTO)
    assert reason_of(feature_map, "flat") == "constant: kept but carries no weight"
    assert reason_of(feature_map, "empty") == "every value missing"
    expected = "an identifier: 200 different texts in 200 records"
    assert reason_of(feature_map, "serial") == expected


def test_the_configuration_overrides_the_choice(make_frame):
    frame = make_frame({"a": STEADY, "code": [1, 2, 3, 4] * 50, "b": STEADY, "c": STEADY})
    columns = ColumnSettings(include=("a", "code"), kinds={"code": "categorical"})
    feature_map = fit_features(frame, columns)
    assert kinds_of(feature_map) == {
        "a": "numeric",
        "code": "categorical",
        "b": "ignored",
        "c": "ignored",
    }
    excluded = fit_features(frame, ColumnSettings(exclude=("b",)))
    assert reason_of(excluded, "b") == "excluded by the configuration"


@pytest.mark.parametrize(
    "columns",
    [
        ColumnSettings(include=("presure",)),
        ColumnSettings(exclude=("presure",)),
        ColumnSettings(kinds={"presure": "numeric"}),
    ],
)
def test_a_configured_column_that_is_not_there_is_named_with_its_nearest(make_frame, columns):
    frame = make_frame({"pressure": STEADY, "flow": STEADY})
    with pytest.raises(FrameError, match=r"'presure'.*did you mean 'pressure'.*flow"):
        fit_features(frame, columns)


def test_text_configured_as_numeric_is_refused(make_frame):
    frame = make_frame({"a": STEADY, "mode": ["eco", "full"] * 100})
    with pytest.raises(FrameError, match=r"'mode' is configured as numeric but holds 'eco'"):
        fit_features(frame, ColumnSettings(kinds={"mode": "numeric"}))


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
    with pytest.raises(TrainingError, match="no column is left to learn from") as caught:
        fit_features(make_frame(table), AUTO)
    assert caught.value.todo
    for column in table:
        assert column in str(caught.value)


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
    assert "column 'pressure', which this detector learned from, is missing" in str(caught.value)
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
    [["high", "low", "1.5"], pd.date_range("2026-01-01", periods=3)],
    ids=["text", "times"],
)
def test_a_numeric_column_that_turned_into_something_else_is_refused(make_frame, cells):
    feature_map = fit_features(make_frame({"pressure": STEADY, "flow": STEADY}), AUTO)
    with pytest.raises(FrameError, match=r"'pressure', learned as numbers, now holds '(high|2026)"):
        feature_map.transform(make_frame({"pressure": cells, "flow": [1.0, 2.0, 3.0]}))


def test_sporadic_unreadable_cells_are_missing_cells(make_frame):
    feature_map = fit_features(make_frame({"a": STEADY, "b": STEADY}), AUTO)
    _, mask = feature_map.transform(make_frame({"a": ["1", "ERR", "2", None], "b": [1.0] * 4}))
    assert mask[:, 0].tolist() == [True, False, True, False]


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
