"""Estimating missing cells, and telling what a record would be without its noise."""

import numpy as np
import pandas as pd
import pytest

from aemon.detection.explaining.imputing import fill
from aemon.errors import FrameError


def test_observed_cells_stay_as_they_were(pump, make_frame, pump_records):
    # Given records with gaps of every kind, a stray word and an infinity
    table = pump_records(200, 11).astype({"open": object, "flow": object})
    table.loc[::3, "pressure"] = np.nan
    table.loc[::5, "open"] = None
    table.loc[::7, "mode"] = None
    table.loc[4, "flow"] = "n/a"
    table.loc[5, "current"] = np.inf
    before = table.copy()
    # When they are imputed
    filled = pump.impute(make_frame(table))
    # Then nothing is missing, what was there is there, and the frame was not touched
    pd.testing.assert_frame_equal(table, before)
    assert list(filled) == list(table)
    assert not filled.isna().any().any()
    assert np.isfinite(filled[["flow", "pressure", "current"]].to_numpy(dtype=float)).all()
    observed = (table.notna() & (table != "n/a") & (table != np.inf)).to_numpy()
    assert (filled.to_numpy(dtype=object) == table.to_numpy(dtype=object))[observed].all()
    assert set(filled["mode"]) <= {"eco", "full", "idle"}
    assert set(filled["open"]) <= {True, False}


def test_what_hangs_together_is_estimated_from_it(pump, make_frame, pump_records):
    # Given records from which one column is missing
    table = pump_records(500, 12)
    for column in ("flow", "pressure", "current", "temperature"):
        # When it is imputed
        gone = table.assign(**{column: np.nan})
        estimated = pump.impute(make_frame(gone))[column]
        # Then it is far nearer to the truth than the mean is
        error = np.sqrt(((estimated - table[column]) ** 2).mean())
        assert error < 0.35 * table[column].std(), column


def test_a_record_without_gaps_comes_back_unchanged(pump, make_frame, pump_records):
    table = pump_records(50, 13)
    pd.testing.assert_frame_equal(pump.impute(make_frame(table)), table)


def test_a_record_all_missing_gets_what_is_usual(pump, make_frame, pump_records):
    table = pump_records(3, 14).astype(object)
    table.loc[1] = None
    filled = pump.impute(make_frame(table))
    assert not filled.isna().any().any()
    assert 30 < filled["flow"][1] < 100


def test_columns_that_are_not_judged_keep_their_gaps(pump, make_frame, pump_records):
    table = pump_records(10, 15).assign(note=None)
    table.loc[0, "flow"] = np.nan
    filled = pump.impute(make_frame(table))
    assert filled["note"].isna().all()
    assert filled["flow"].notna().all()


def test_a_reconstruction_has_units_and_less_noise(pump, make_frame, pump_records):
    # Given a pump whose flow is measured badly
    table = pump_records(500, 16)
    noisy = table.assign(flow=table["flow"] + np.random.default_rng(0).normal(0, 4, 500))
    # When it is reconstructed
    back = pump.reconstruct(make_frame(noisy))
    # Then it has the judged columns as they were read, and the flow is nearer to the truth
    assert list(back) == list(table)
    assert back["open"].dtype == bool
    assert (back["mode"] == table["mode"]).mean() > 0.95
    assert (back["open"] == table["open"]).mean() > 0.95
    gap = (back["flow"] - table["flow"]).std()
    assert gap < 0.8 * (noisy["flow"] - table["flow"]).std()


def test_codes_are_those_of_every_member(pump, make_frame, pump_records):
    frame = make_frame(pump_records(30, 17))
    features, _ = pump.feature_map.transform(frame)
    code = pump.encode(frame)
    autoencoder = pump.scorer.autoencoder
    assert code.shape == (autoencoder.members, 30, autoencoder.code_size)
    np.testing.assert_allclose(code, autoencoder.encode(features), rtol=1e-5, atol=1e-6)
    table = frame.values.copy()
    table.loc[3, "flow"] = np.nan
    assert np.isfinite(pump.encode(make_frame(table))).all()
    np.testing.assert_allclose(pump.encode(make_frame(table))[:, 0], code[:, 0], atol=1e-5)


def test_no_records_are_no_trouble(pump, make_frame, pump_records):
    none = make_frame(pump_records(0, 0))
    assert len(pump.impute(none)) == len(pump.reconstruct(none)) == 0
    assert pump.encode(none).shape[1] == 0
    assert pump.code_map(none).shape == (0, 2)


def test_a_judged_column_that_is_gone_is_named(pump, make_frame, pump_records):
    gone = make_frame(pump_records(5, 0).drop(columns="flow"))
    for method in (pump.impute, pump.reconstruct, pump.encode, pump.code_map):
        with pytest.raises(FrameError, match="'flow'"):
            method(gone)


def test_normal_records_are_features_again(pump, make_frame, pump_records):
    # Given the frame a detector learned from; When its prototypes are taken back to features
    records = pump.scorer.space.normal_records
    features, _ = pump.feature_map.transform(make_frame(pump_records(2000, 1)))
    # Then they are its records
    assert np.abs(features[:, None, :3] - records[None, :, :3]).max(axis=2).min(axis=0).max() < 1e-4


def test_a_record_is_filled_alike_alone_and_in_company(pump, make_frame, pump_records):
    table = pump_records(300, 18)
    table.loc[::2, ["flow", "current"]] = np.nan
    features, mask = pump.feature_map.transform(make_frame(table))
    together = fill(pump.scorer, features, mask).features
    for row in (0, 1, 298):
        alone = fill(pump.scorer, features[row : row + 1], mask[row : row + 1]).features
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-5)
