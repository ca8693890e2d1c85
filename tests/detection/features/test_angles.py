import numpy as np
import pytest

from aemon.detection.features.angles import as_circle, as_degrees, least_angle

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
