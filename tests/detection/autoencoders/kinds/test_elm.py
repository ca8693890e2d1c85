from time import perf_counter

import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import sigmoid
from aemon.detection.autoencoders.kinds import undercomplete
from aemon.detection.autoencoders.kinds.elm import learn, solve_ridge
from tests.detection.training_sets import lesson_of, mean_square, records, whole

SETTINGS = DetectorSettings(kind="elm", code_size=6)
CELLS = records(800, 0)


@pytest.fixture(scope="module")
def learned():
    return learn(whole(lesson_of(CELLS)), SETTINGS, 0, None)


def test_the_random_layer_is_orthogonal_and_its_biases_a_unit(learned):
    into, bias = learned.weights[0][0], learned.biases[0][0, 0]
    np.testing.assert_allclose(into.T @ into, np.eye(6), atol=1e-5)
    assert np.linalg.norm(bias) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("ridge", [1e-3, 1e-1])
def test_the_output_weights_satisfy_the_normal_equations(ridge):
    settings = SETTINGS.model_copy(update={"ridge": ridge})
    learned = learn(whole(lesson_of(CELLS)), settings, 0, None)
    code = sigmoid(CELLS @ learned.weights[0][0] + learned.biases[0][0]).astype(float)
    np.testing.assert_allclose(code, learned.encode(CELLS)[0], atol=1e-6)
    code -= code.mean(axis=0)
    left = (code.T @ code / len(code) + ridge * np.eye(6)) @ learned.weights[1][0]
    right = code.T @ (CELLS - CELLS.mean(axis=0)) / len(code)
    np.testing.assert_allclose(left, right, atol=1e-4)
    np.testing.assert_allclose(learned(CELLS)[0].mean(axis=0), CELLS.mean(axis=0), atol=1e-4)


def test_no_other_weights_have_less_error_and_ridge():
    rng = np.random.default_rng(0)
    code, wanted = rng.normal(size=(200, 4)), rng.normal(size=(200, 3))
    weights, biases = solve_ridge(code, wanted, 0.1)

    def cost(weights, biases):
        return ((code @ weights + biases - wanted) ** 2).sum() / 200 + 0.1 * (weights**2).sum()

    for _ in range(20):
        other = cost(weights + 0.01 * rng.normal(size=(4, 3)), biases + 0.01 * rng.normal(size=3))
        assert cost(weights, biases) < other


def test_it_reconstructs_what_is_normal_and_not_what_is_not(learned):
    usual, odd = records(300, 1), np.random.default_rng(2).normal(size=(300, 9))
    odd = odd.astype(np.float32)
    assert mean_square(learned(usual) - usual) < 0.3 * mean_square(usual)
    assert mean_square(learned(usual) - usual) < 0.5 * mean_square(learned(odd) - odd)


def test_members_and_seeds_draw_different_layers_and_the_same_seed_the_same():
    training_set = lesson_of(CELLS, members=2)
    first, again, other = (learn(training_set, SETTINGS, seed, None) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights[0], again.weights[0])
    np.testing.assert_array_equal(first.weights[1], again.weights[1])
    assert not np.allclose(first.weights[0], other.weights[0])
    assert not np.allclose(first.weights[0][0], first.weights[0][1])


def test_it_learns_in_far_less_time_than_undercomplete():
    training_set = lesson_of(records(2000, 0), members=3)
    undercomplete.learn(training_set, DetectorSettings(steps=1), 0, None)  # torch is loaded

    def seconds(learn, settings):
        started = perf_counter()
        learn(training_set, settings, 0, None)
        return perf_counter() - started

    slow = seconds(undercomplete.learn, DetectorSettings())
    assert min(seconds(learn, SETTINGS) for _ in range(3)) < 0.3 * slow
