import numpy as np
import pytest
from scipy.linalg import subspace_angles

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.undercomplete import learn
from aemon.errors import TrainingError
from tests.detection.training_sets import lesson_of, mean_square, records, whole


@pytest.mark.parametrize("hidden", [(), (12,)], ids=["shallow", "deep"])
def test_a_linear_one_spans_the_first_principal_components(hidden):
    # Given records with three large variances and six small ones, in no axis's direction
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    spreads = np.array([1.6, 1.4, 1.2, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1])
    cells = (rng.normal(size=(1000, 9)) * spreads @ turn).astype(np.float32)
    # When a linear hourglass has learned them without noise, by squared error
    settings = DetectorSettings(
        activation="linear", noise=0.0, code_size=3, hidden_sizes=hidden, steps=3000
    )
    training_set = whole(lesson_of(cells))
    autoencoder = learn(training_set, settings, 0, None)
    # Then what it can say is the subspace of the first three principal components
    components = np.linalg.svd(cells - cells.mean(axis=0), full_matrices=False)[2][:3].T
    said = np.linalg.multi_dot([w[0] for w in autoencoder.weights]).T
    basis = np.linalg.svd(said)[0][:, :3]
    assert np.degrees(subspace_angles(basis, components)).max() < 1


def test_a_deep_one_is_a_symmetric_hourglass():
    settings = DetectorSettings(code_size=2, hidden_sizes=(8, 5), steps=5)
    autoencoder = learn(lesson_of(records(100, 0)), settings, 0, None)
    widths = [w.shape[1] for w in autoencoder.weights]
    assert [*widths, 9] == [9, 8, 5, 2, 5, 8, 9]
    assert autoencoder.activations == ("silu", "silu", "linear", "silu", "silu", "linear")


def test_it_reconstructs_what_is_normal_and_not_what_is_not():
    autoencoder = learn(lesson_of(records(800, 0)), DetectorSettings(code_size=3), 0, None)
    usual = records(300, 1)
    odd = np.random.default_rng(2).normal(size=(300, 9)).astype(np.float32)
    assert mean_square(autoencoder(usual) - usual) < 0.2 * mean_square(autoencoder(odd) - odd)


def test_a_code_as_wide_as_its_input_is_refused():
    with pytest.raises(TrainingError, match=r"detector\.code_size is 9"):
        learn(lesson_of(records(100, 0)), DetectorSettings(code_size=9), 0, None)
