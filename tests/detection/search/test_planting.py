"""Planted anomalies: what they touch, and what they leave alone."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.search.planting import (
    SHIFTS,
    Records,
    mirror,
    mix,
    move,
    plantings,
    shift,
    swap,
)

N = 400


@pytest.fixture
def mixed(make_frame, pump_records):
    """The features of a pump with gaps, and how they came about."""
    table = pump_records(N, 31)
    table.loc[::7, "flow"] = np.nan
    table["fixed"] = 1.0
    frame = make_frame(table)
    feature_map = fit_features(frame, ColumnSettings())
    return feature_map, Records(*feature_map.transform(frame))


def judged_changed(feature_map, before, after):
    """Which judged columns (N, J) differ."""
    gone = (before.features != after.features) | (before.mask != after.mask)
    return np.stack([gone[:, place].any(axis=1) for _, place in feature_map.judged], axis=1)


@pytest.mark.parametrize("plant", [swap, shift, move, mirror, mix])
def test_it_copies_and_repeats_itself(mixed, plant):
    feature_map, records = mixed
    before = records.features.copy()
    one = plant(feature_map, records, np.random.default_rng(0))
    other = plant(feature_map, records, np.random.default_rng(0))
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(records.features, before)
    assert one.features.dtype == np.float32
    assert (one.features[~one.mask] == 0).all(), "a gap stays a gap"
    assert not (one.features != before)[:, feature_map.weights == 0].any()


def test_swapped_columns_are_whole_and_keep_their_distribution(mixed):
    # Given records; When columns are swapped between them
    feature_map, records = mixed
    planted = swap(feature_map, records, np.random.default_rng(1))
    # Then half of the judged columns are touched at most, and no value is new
    touched = judged_changed(feature_map, records, planted)
    assert touched.any(axis=1).mean() > 0.8
    assert touched.sum(axis=1).max() <= round(0.5 * len(feature_map.judged))
    assert set(planted.features[:, 0]) <= set(records.features[:, 0])
    for name, place in feature_map.judged:
        if name == "mode":
            whole = {tuple(row) for row in records.features[:, place]}
            assert {tuple(row) for row in planted.features[:, place]} <= whole


def test_shifts_are_local_and_of_their_size(mixed):
    feature_map, records = mixed
    planted = shift(feature_map, records, np.random.default_rng(2))
    touched = judged_changed(feature_map, records, planted)
    assert touched.sum(axis=1).max() <= 2
    gaps = np.abs(planted.features - records.features)[:, :5]  # the numbers
    moved = gaps[gaps > 0]
    assert moved.min() > SHIFTS[0] - 1e-4
    assert moved.max() < SHIFTS[1] + 1e-4


def test_moved_records_are_further_from_the_mean_in_every_number(mixed):
    feature_map, records = mixed
    planted = move(feature_map, records, np.random.default_rng(3))
    far = np.abs(records.features[:, :5]) > 0.01
    factors = (planted.features[:, :5][far] / records.features[:, :5][far]).astype(float)
    assert 1.1 - 1e-3 <= factors.min() <= factors.max() <= 2 + 1e-3
    categories = [place for name, place in feature_map.judged if name in ("mode", "open")]
    for place in categories:
        np.testing.assert_array_equal(planted.features[:, place], records.features[:, place])


def test_mirrored_and_mixed_records_have_other_numbers_alone(mixed):
    feature_map, records = mixed
    mirrored = mirror(feature_map, records, np.random.default_rng(4)).features
    np.testing.assert_array_equal(mirrored[:, :5], -records.features[:, :5])
    planted = mix(feature_map, records, np.random.default_rng(4))
    full = records.mask.all(axis=1)
    assert planted.features[full, :5].std() < 0.85 * records.features[full, :5].std()
    np.testing.assert_array_equal(planted.mask, records.mask)
    for features in (mirrored, planted.features):
        for name, place in feature_map.judged:
            if name in ("mode", "open"):
                np.testing.assert_array_equal(features[:, place], records.features[:, place])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["flow", "pressure"], {"swapped", "shifted", "moved", "mirrored", "mixed"}),
        (["mode", "open"], {"swapped", "shifted"}),
        (["flow"], {"shifted", "moved"}),
        (["mode"], {"shifted"}),
    ],
)
def test_only_what_means_something_is_planted(make_frame, pump_records, columns, expected):
    frame = make_frame(pd.DataFrame(pump_records(200, 0)[columns]))
    assert set(plantings(fit_features(frame, ColumnSettings()))) == expected
