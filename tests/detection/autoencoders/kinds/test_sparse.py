import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.sparse import learn
from aemon.detection.autoencoders.training import train_autoencoder
from aemon.detection.autoencoders.training_plan import Plan
from tests.detection.training_sets import lesson_of, mean_square, records, whole

KL = DetectorSettings(kind="sparse")
USUAL = records(1500, 0, noise=0.2)
OFF = np.random.default_rng(5).normal(size=(1000, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def learned():
    return learn(whole(lesson_of(USUAL)), KL, 0, None)


def test_the_code_is_twice_as_wide_as_the_features(learned):
    assert [w.shape for w in learned.weights] == [(1, 9, 18), (1, 18, 9)]
    assert learned.activations == ("sigmoid", "linear")


@pytest.mark.parametrize("target", [0.05, 0.1, 0.3])
def test_each_unit_is_active_at_the_target_rate(target):
    settings = KL.model_copy(update={"sparsity_target": target})
    code = learn(whole(lesson_of(USUAL)), settings, 0, None).encode(USUAL)[0]
    np.testing.assert_allclose(code.mean(axis=0), target, atol=0.04)
    # and not by always saying the same: a unit is silent for most records, loud for some
    assert np.median(code.max(axis=0)) > 2 * target


def test_it_copies_less_than_one_whose_code_is_as_wide_and_free(learned):
    # Given an autoencoder of the same shape and training whose code costs nothing
    free = Plan(
        widths=(9, 18, 9),
        activations=("sigmoid", "linear"),
        encoder_layers=1,
        steps=1000,
        batch_records=256,
        learning_rate=0.03,
    )
    copier = train_autoencoder(whole(lesson_of(USUAL)), free, seed=0)
    unseen = records(500, 1, noise=0.2)
    # When both see records unlike any they learned from
    copied = mean_square(copier(OFF) - OFF)
    withheld = mean_square(learned(OFF) - OFF)
    # Then the free one gives them back as they are, and the sparse one does not
    assert copied < 0.2 * mean_square(OFF)
    assert withheld > 2.5 * copied
    assert mean_square(learned(unseen) - unseen) < 0.1 * withheld


def test_an_l1_penalty_makes_most_activations_small():
    settings = KL.model_copy(update={"sparsity": "l1"})
    training_set = whole(lesson_of(USUAL))
    weak = settings.model_copy(update={"sparsity_weight": 1e-6})
    strict, loose = (learn(training_set, each, 0, None).encode(USUAL) for each in (settings, weak))
    assert strict.mean() < 0.5 * loose.mean()
    assert np.median(strict) < 0.05
