from dataclasses import replace

import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.stacked_denoising import (
    above,
    learn,
    plan_whole,
    pretrain,
    unroll,
)
from aemon.detection.autoencoders.training import train_autoencoder
from tests.detection.training_sets import lesson_of, mean_square, records

SETTINGS = DetectorSettings(kind="stacked_denoising")
UNSEEN = records(400, 1)


@pytest.fixture(scope="module")
def training_set():
    return lesson_of(records(1200, 0), members=2)


@pytest.fixture(scope="module")
def pairs(training_set):
    return pretrain(training_set, plan_whole(training_set, SETTINGS), 0)


def test_there_are_two_hidden_layers_unless_configured(training_set):
    assert plan_whole(training_set, SETTINGS).widths == (9, 36, 32, 9, 32, 36, 9)
    settings = DetectorSettings(kind="stacked_denoising", hidden_sizes=(8, 7, 6), code_size=4)
    assert plan_whole(training_set, settings).widths == (9, 8, 7, 6, 4, 6, 7, 8, 9)


def test_each_layer_learns_what_the_one_below_makes_of_the_records(training_set, pairs):
    # Given each layer's pair of encoder and decoder, and the lesson it learned from
    assert [pair.weights[0].shape for pair in pairs] == [(2, 9, 36), (2, 36, 32), (2, 32, 9)]
    for pair in pairs:
        # Then it reconstructs that lesson better than its mean would
        gaps = pair(training_set.features) - training_set.features
        spreads = training_set.features - training_set.features.mean(axis=-2, keepdims=True)
        assert mean_square(gaps) < 0.5 * mean_square(spreads)
        training_set = above(training_set, pair)


def test_the_layers_unrolled_are_one_deep_autoencoder(pairs):
    deep = unroll(pairs)
    code = UNSEEN
    for pair in pairs:
        code = pair.encode(code)
    np.testing.assert_allclose(deep.encode(UNSEEN), code, atol=1e-5)
    for pair in reversed(pairs):
        code = pair.decode(code)
    np.testing.assert_allclose(deep(UNSEEN), code, atol=1e-5)


def test_pretraining_helps_and_training_the_whole_helps_further(training_set, pairs):
    # Given the whole with random weights, with pretrained ones, and trained on from those
    plan = plan_whole(training_set, SETTINGS)
    nothing = replace(plan, steps=1, learning_rate=1e-12)
    random = train_autoencoder(training_set, nothing, seed=0)
    tuned = learn(training_set, SETTINGS, 0, None)
    # Then each reconstructs unseen records better than the one before
    errors = [mean_square(each(UNSEEN) - UNSEEN) for each in (random, unroll(pairs), tuned)]
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.7 * errors[1]


def test_a_noisy_record_comes_back_nearer_to_the_clean_one(training_set):
    tuned = learn(training_set, SETTINGS, 0, None)
    noise = np.random.default_rng(0).normal(0, 0.7, UNSEEN.shape).astype(np.float32)
    assert mean_square(tuned(UNSEEN + noise).mean(axis=0) - UNSEEN) < 0.7 * mean_square(noise)


def test_progress_rises_to_one_over_all_parts(training_set):
    seen = []
    settings = SETTINGS.model_copy(update={"steps": 50})
    learn(training_set, settings, 0, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    assert len([done for done in seen if done <= 0.25]) > 1
