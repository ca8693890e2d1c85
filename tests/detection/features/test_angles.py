import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.angles import as_circle, as_degrees, least_angle
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.state import feature_map_from, feature_map_state

N = 1000
rng = np.random.default_rng(0)
NOBODY = np.full(N, "", dtype=object)
TURNING = np.cumsum(rng.normal(0, 10, N))


@pytest.mark.parametrize(
    ("numbers", "low"),
    [
        (rng.normal(0, 12, N) % 360, 0),
        (TURNING % 360, 0),
        ((TURNING + 180) % 360 - 180, -180),
        (np.arange(N) * 7 % 360, 0),
        (rng.uniform(0, 360, N), None),
        (rng.normal(180, 30, N), None),
        (rng.normal(0, 12, N), None),
        (rng.choice([0.0, 360.0], N), None),
        (rng.uniform(0, 100, N), None),
        (180 + 175 * np.sin(np.arange(N) / 20), None),
        (rng.normal(0, 12, N) % 400, None),
    ],
    ids=[
        "north", "turning", "turning, signed", "rotating", "anything", "south", "no turn",
        "on and off", "percent", "rhythm", "beyond a turn",
    ],
)  # fmt: skip
def test_an_angle_comes_near_both_ends_and_steps_across(numbers, low):
    assert least_angle(numbers, NOBODY) == low


@pytest.mark.parametrize("low", [0.0, -180.0])
def test_degrees_come_back(low):
    degrees = np.arange(low, low + 360, 7.5)
    circle = as_circle(degrees)
    np.testing.assert_allclose(as_degrees(circle[:, 0], circle[:, 1], low), degrees, atol=1e-9)


@pytest.mark.parametrize("decimals", [0, 1])
def test_a_vane_that_freezes_is_flagged_as_any_other_sensor(make_frame, decimals):
    wind = pd.DataFrame({"flow": rng.normal(20, 5, N), "wind": (TURNING % 360).round(decimals)})
    learned = fit_features(make_frame(wind), ColumnSettings())
    assert {one.column: one.kind for one in learned.columns}["wind"] == "angle"
    later = wind.iloc[:60].copy()
    later.loc[20:, "wind"] = 123.0 if decimals == 0 else 123.4
    arrays, metadata = feature_map_state(learned)
    for feature_map in (learned, feature_map_from(arrays, json.loads(json.dumps(metadata)))):
        frozen = feature_map.read(make_frame(later)).frozen
        assert feature_map.repeated == ("flow", "wind")
        most = dict(feature_map.limits)["wind"]
        assert np.flatnonzero(frozen[:, 1]).tolist() == list(range(20 + most, 60))
        assert not feature_map.read(make_frame(wind)).frozen.any()


def test_angles_of_an_older_detector_are_not_watched_for_freezing(make_frame):
    wind = pd.DataFrame({"flow": rng.normal(20, 5, N), "wind": (TURNING % 360).round(1)})
    arrays, metadata = feature_map_state(fit_features(make_frame(wind), ColumnSettings()))
    metadata["limits"] = [pair for pair in metadata["limits"] if pair[0] != "wind"]
    metadata["decimals"] = metadata["decimals"][:1]
    del metadata["units"]
    old = feature_map_from(arrays, metadata)
    cells = old.read(make_frame(wind))
    assert cells.frozen.shape == (N, 1)
    assert not old.slack(cells).any()
