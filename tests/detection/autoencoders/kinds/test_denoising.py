import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.denoising import learn
from tests.detection.training_sets import lesson_of, mean_square, records, whole

SETTINGS = DetectorSettings(kind="denoising")


@pytest.fixture(scope="module")
def learned():
    return learn(whole(lesson_of(records(1500, 0))), SETTINGS, 0, None)


def test_the_code_is_as_wide_as_the_input_and_the_layers_around_it_wider(learned):
    assert [w.shape[2] for w in learned.weights] == [64, 9, 64, 9]


@pytest.mark.parametrize("level", [0.3, 0.6, 1.0])
def test_a_noisy_record_comes_back_nearer_to_the_clean_one(learned, level):
    clean = records(500, 1)
    noisy = clean + np.random.default_rng(0).normal(0, level, clean.shape).astype(np.float32)
    before = ((noisy - clean) ** 2).sum(axis=1)
    after = ((learned(noisy)[0] - clean) ** 2).sum(axis=1)
    assert after.mean() < 0.7 * before.mean()
    assert (after < before).mean() > 0.85


def test_a_masked_record_comes_back_nearer_to_the_clean_one(learned):
    clean = records(500, 1)
    kept = np.random.default_rng(0).random(clean.shape) >= 0.2
    masked = (clean * kept).astype(np.float32)
    assert mean_square(learned(masked) - clean) < 0.5 * mean_square(masked - clean)


def test_it_is_corruption_that_keeps_it_from_copying(learned):
    # Given the same autoencoder, learned without noise and masking, and records off the manifold
    plain = SETTINGS.model_copy(update={"noise": 0.0, "masking": 0.0})
    copier = learn(whole(lesson_of(records(1500, 0, noise=0.3))), plain, 0, None)
    denoiser = learn(whole(lesson_of(records(1500, 0, noise=0.3))), SETTINGS, 0, None)
    off = np.random.default_rng(2).normal(size=(500, 9)).astype(np.float32)
    # Then the one copies them, and the other does not
    assert mean_square(copier(off) - off) < 0.5 * mean_square(denoiser(off) - off)
