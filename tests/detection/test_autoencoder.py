import numpy as np
import pytest

from aemon.config.schema import DetectorSettings
from aemon.detection.autoencoder import choose_shape, silu
from aemon.errors import TrainingError


@pytest.mark.parametrize(
    ("features", "code"), [(1, 0), (2, 1), (3, 2), (4, 3), (20, 15), (100, 75)]
)
def test_the_default_code_is_narrower_than_the_features(features, code):
    shape = choose_shape(features, DetectorSettings())
    assert (shape.features, shape.hidden, shape.code) == (features, 3 * features, code)


def test_the_code_is_held_against_the_features_that_vary():
    assert choose_shape(20, DetectorSettings(), width=8).code == 6


@pytest.mark.parametrize("code_size", [8, 9, 100])
def test_a_code_as_wide_as_its_input_is_refused(code_size):
    with pytest.raises(TrainingError) as caught:
        choose_shape(20, DetectorSettings(code_size=code_size), width=8)
    assert f"detector.code_size is {code_size}" in str(caught.value)
    assert "only 8 independent features" in str(caught.value)
    assert "at most 7" in caught.value.todo


def test_a_single_feature_takes_no_configured_code():
    with pytest.raises(TrainingError, match=r"leave detector\.code_size out"):
        choose_shape(1, DetectorSettings(code_size=1))


def test_configured_widths_are_taken():
    shape = choose_shape(20, DetectorSettings(code_size=5, hidden_size=11))
    assert shape.layers == ((20, 11), (11, 5), (5, 11), (11, 20))


def test_silu_neither_overflows_nor_leaves_float32():
    x = np.array([-1e30, -100, 0, 1, 100, 1e30], dtype=np.float32)
    expected = np.array([0, 0, 0, 0.7310586, 100, 1e30], dtype=np.float32)
    assert silu(x).dtype == np.float32
    np.testing.assert_allclose(silu(x), expected, rtol=1e-6)
