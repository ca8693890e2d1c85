"""Codes as a map, and as a lossy compression."""

import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.explaining.codes import code_map
from aemon.detection.learning import train_detector


def test_the_map_follows_what_varies_most(pump, make_frame, pump_records):
    # Given pumps, of whose features those of the valve and the mode vary most
    table = pump_records(800, 21)
    # When they are placed
    placed = pump.code_map(make_frame(table))
    # Then the map's first axis is its wider one, and open valves lie apart from closed ones
    assert placed.shape == (800, 2)
    assert placed[:, 0].std() >= placed[:, 1].std() > 0
    there = np.column_stack([placed, np.ones(800)])
    told = there @ np.linalg.lstsq(there, table["open"].astype(float), rcond=None)[0]
    assert ((told > 0.5) == table["open"]).mean() > 0.95


def test_a_record_has_one_place_whatever_is_beside_it(pump, make_frame, pump_records):
    table = pump_records(100, 22)
    whole = pump.code_map(make_frame(table))
    part = pump.code_map(make_frame(table.iloc[40:].reset_index(drop=True)))
    np.testing.assert_allclose(part, whole[40:], rtol=1e-4, atol=1e-5)


def test_an_axis_and_its_opposite_are_told_apart(pump):
    # Given normal records, and the same in another order, of which the solver may turn an axis
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(500, len(pump.feature_map))).astype(np.float32)
    autoencoder = pump.scorer.autoencoder
    one = code_map(autoencoder, normal, normal[:20])
    other = code_map(autoencoder, normal[::-1].copy(), normal[:20])
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("columns", [["flow"], ["flow", "pressure"]])
def test_a_narrow_code_leaves_a_coordinate_at_0(make_frame, pump_records, columns):
    quick = LearningSettings(detector=DetectorSettings(steps=50, members=2, kind="undercomplete"))
    frame = make_frame(pump_records(200, 1)[columns])
    detector = train_detector(frame, quick, seed=0)
    placed = detector.code_map(frame)
    assert detector.encode(frame).shape[2] == len(columns) - 1
    assert (placed[:, 1] == 0).all()
    assert placed[:, 0].any() == (len(columns) == 2)
    assert np.isfinite(placed).all()


def test_compression_tells_bytes_and_errors(pump, make_frame, pump_records):
    # Given records with a gap, which costs nothing
    table = pump_records(400, 23)
    table.loc[0, "flow"] = np.nan
    # When they are compressed
    told = pump.compression(make_frame(table))
    # Then sizes are those of float32, and the error is between none and that of the mean
    judged = int((pump.feature_map.weights > 0).sum())
    assert told.record_bytes == 400 * judged * 4
    assert told.code_bytes == 400 * pump.scorer.autoencoder.code_size * 4
    assert 0 < told.ratio < 1
    assert 0 < told.error < 0.5
    names, errors = zip(*told.by_column, strict=True)
    assert set(names) == set(table)
    assert list(errors) == sorted(errors, reverse=True)


def test_a_record_learned_from_is_not_its_own_neighbour(pump, make_frame, pump_records):
    # Given records that were learned from, with and without a gap, and new ones
    table = pump_records(2000, 1)
    features, mask = pump.feature_map.transform(make_frame(table))
    gap = mask.copy()
    gap[:, 0] = False
    own = pump.scorer.space.own_prototypes(features, mask)
    np.testing.assert_array_equal(own, pump.scorer.space.own_prototypes(features * gap, gap))
    assert (own >= 0).all()
    # When they are scored apart, Then they look like new ones, and as often odd
    usual, apart = (
        pump.scorer.scores(features, mask, without_itself=each) for each in (False, True)
    )
    new, whole = pump.feature_map.transform(make_frame(pump_records(2000, 24)))
    fresh = pump.scorer.scores(new, whole)
    assert np.median(usual) < 0.85 * np.median(fresh)
    assert np.median(apart) == pytest.approx(np.median(fresh), rel=0.05)
    assert 0 < (apart > pump.threshold.value).mean() < 0.03
    np.testing.assert_allclose(
        pump.scorer.scores(new, whole, without_itself=True), fresh, rtol=1e-4
    )
