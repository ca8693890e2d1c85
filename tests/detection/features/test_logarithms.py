"""Logarithms beside skewed columns."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.detection.detector import Detector
from aemon.detection.features.feature_fitting import FeatureMap, fit_features
from aemon.detection.features.logarithms import OFFSET, logarithm_of
from aemon.detection.learning import LearningSettings, train_detector
from aemon.errors import FrameError
from tests.detection.conftest import frame_of

AUTO = ColumnSettings()
ALONE = LearningSettings(detector=DetectorSettings(series=False))


def records(count: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    load = rng.normal(size=count)
    return pd.DataFrame(
        {
            "bytes": np.exp(6 + 2 * load + 0.1 * rng.normal(size=count)),
            "level": 50 + 5 * load + rng.normal(size=count),
            "share": rng.random(count),
        }
    )


def fitted(columns: ColumnSettings = AUTO, table: pd.DataFrame | None = None) -> FeatureMap:
    return fit_features(frame_of(records() if table is None else table), columns)


def test_a_skewed_column_without_negatives_has_one_and_others_have_none():
    found = fitted()
    assert [one.column for one in found.logarithms] == ["bytes"]
    reasons = {report.column: report.reason for report in found.columns}
    assert "logarithm" in reasons["bytes"]
    assert "logarithm" not in reasons["level"] + reasons["share"]


@pytest.mark.parametrize(
    "numbers",
    [
        np.r_[np.exp(np.linspace(0, 9, 300)), -1.0],  # a negative one
        np.r_[np.zeros(300), 1.0, 50.0],  # few different values
        np.linspace(0, 1, 300),  # not skewed
        np.array([]),
    ],
)
def test_what_has_none(numbers):
    assert logarithm_of("x", 0, numbers, AUTO) is None


def test_the_column_owns_both_features():
    found = fitted()
    features, mask = found.transform(frame_of(records()))
    places = dict(found.judged)["bytes"]
    assert features.shape == (400, 4)
    assert list(places) == [0, 3]
    raw = features * found.spreads + found.means
    scale = found.logarithms[0].scale
    assert np.allclose(raw[:, 3], np.log(records()["bytes"] / scale + OFFSET), atol=1e-3)
    assert mask.all()


def test_a_missing_cell_misses_both_and_a_negative_one_counts_as_zero():
    found = fitted()
    table = records(3)
    table.loc[0, "bytes"] = np.nan
    table.loc[1, "bytes"] = -5.0
    table.loc[2, "bytes"] = 0.0
    features, mask = found.transform(frame_of(table))
    assert mask[:, 3].tolist() == [False, True, True]
    assert found.missing(mask)[0].tolist() == [True, False, False]
    assert features[1, 3] == features[2, 3]


def test_settings_choose():
    assert fitted(ColumnSettings(logarithms="none")).logarithms == ()
    chosen = fitted(ColumnSettings(logarithms=("share",))).logarithms
    assert [one.column for one in chosen] == ["share"]
    with pytest.raises(FrameError, match=r"'colour', named under columns\.logarithms"):
        fitted(ColumnSettings(logarithms=("colour",)))
    with pytest.raises(FrameError, match="'level' has no logarithm: its least value is -"):
        fitted(ColumnSettings(logarithms=("level",)), records() - 50)


def test_small_values_that_no_spread_sees_are_found_and_blamed_on_their_column():
    # Given bytes that follow the level over orders of magnitude
    detector = train_detector(frame_of(records(2000)), ALONE, seed=0)
    plain = train_detector(
        frame_of(records(2000)),
        ALONE.model_copy(update={"columns": ColumnSettings(logarithms="none")}),
        seed=0,
    )
    # When an idle machine's bytes are a hundred times the usual: still few for a busy machine
    rng = np.random.default_rng(5)
    broken = records(50, seed=1)
    broken["level"] = 45 + 0.3 * rng.normal(size=50)
    broken["bytes"] = 4000 * np.exp(0.1 * rng.normal(size=50))
    # Then they are found, which the numbers alone do not show; and one of both is to blame
    assert detector.judge(frame_of(broken)).anomalous.mean() > 0.8
    assert plain.judge(frame_of(broken)).anomalous.mean() < 0.3
    first = detector.explain(frame_of(broken))[0].contributions[0]
    assert first.column in ("bytes", "level")


def test_it_is_stored_with_the_detector():
    detector = train_detector(frame_of(records()), ALONE, seed=0)
    arrays, metadata = detector.state()
    loaded = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    assert loaded.feature_map.logarithms == detector.feature_map.logarithms
    frame = frame_of(records(100, seed=2))
    assert np.array_equal(loaded.judge(frame).scores, detector.judge(frame).scores)


def test_a_series_does_without_unless_told_otherwise():
    table = records(2000)
    rising = np.repeat(table.to_numpy()[::8], 8, axis=0) * np.linspace(1, 1.01, 2000)[:, None]
    table = pd.DataFrame(rising, columns=table.columns)
    settings = LearningSettings(detector=DetectorSettings(series=True))
    found = train_detector(frame_of(table), settings, seed=0)
    assert found.series is not None
    assert found.feature_map.logarithms == ()
    assert all("logarithm" not in report.reason for report in found.feature_map.columns)
    chosen = settings.model_copy(update={"columns": ColumnSettings(logarithms=("bytes",))})
    found = train_detector(frame_of(table), chosen, seed=0)
    assert len(found.feature_map.logarithms) == 1
    assert found.judge(frame_of(table)).scores.size == 2000


def test_coarser_rounding_flags_no_more():
    detector = train_detector(frame_of(records(2000)), ALONE, seed=0)
    judged = records(2000, seed=3)
    rounded = judged.assign(bytes=judged["bytes"].round(-2))
    before = detector.judge(frame_of(judged)).anomalous.mean()
    after = detector.judge(frame_of(rounded)).anomalous.mean()
    assert after <= max(1.5 * before, before + 0.005)
