from dataclasses import replace

import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.linear import learn
from tests.detection.training_sets import lesson_of, mean_square, records, whole

THREE = DetectorSettings(kind="linear", code_size=3)


def principal(cells, components):
    """The reconstruction of records (N, F) from their first principal components, by PCA."""
    centre = cells.mean(axis=0, dtype=float)
    covariance = np.cov(cells.T.astype(float))
    directions = np.linalg.eigh(covariance)[1][:, -components:]
    return (cells - centre) @ directions @ directions.T + centre


@pytest.mark.parametrize("components", [1, 3, 8])
def test_it_is_exactly_pca(components):
    cells = records(500, 0, noise=0.5) + 2
    settings = DetectorSettings(kind="linear", code_size=components)
    autoencoder = learn(whole(lesson_of(cells)), settings, 0, None)
    np.testing.assert_allclose(autoencoder(cells)[0], principal(cells, components), atol=1e-5)


def test_each_member_is_the_pca_of_the_records_outside_its_fold():
    cells = records(300, 0, noise=0.5)
    training_set = lesson_of(cells, members=3)
    autoencoder = learn(training_set, THREE, 0, None)
    for m, pool in enumerate(training_set.pools):
        np.testing.assert_allclose(
            autoencoder(cells)[m, pool], principal(cells[pool], 3), atol=1e-5
        )


def test_a_feature_counts_by_its_weight():
    # Given a feature twice, which is the same as one of double weight
    cells = records(500, 0, noise=0.7)
    twice = np.concatenate([cells, cells[:, :1]], axis=1)
    weights = np.array([2, *[1] * 8], dtype=np.float32)
    autoencoder = learn(whole(lesson_of(cells, weights=weights)), THREE, 0, None)
    np.testing.assert_allclose(autoencoder(cells)[0], principal(twice, 3)[:, :9], atol=1e-4)


def test_features_without_weight_have_no_part():
    cells = records(500, 0)
    weights = np.array([0, *[1] * 8], dtype=np.float32)
    training_set = whole(lesson_of(cells, weights=weights))
    noisy = cells.copy()
    noisy[:, 0] = np.random.default_rng(0).normal(0, 100, 500)
    first = learn(training_set, THREE, 0, None)(cells)
    second = learn(replace(training_set, features=noisy), THREE, 0, None)(noisy)
    np.testing.assert_allclose(first[..., 1:], second[..., 1:], atol=1e-5)


def test_missing_cells_are_filled_from_the_others():
    # Given records of which a fifth of the cells are missing
    cells, unseen = records(600, 0), records(300, 1)
    mask = np.random.default_rng(0).random(cells.shape) < 0.8
    blank = np.where(mask, cells, 0).astype(np.float32)
    # When components are learned from what is left, from all, and with 0 where cells are missing
    filled = learn(whole(lesson_of(blank, mask=mask)), THREE, 0, None)
    everything = learn(whole(lesson_of(cells)), THREE, 0, None)
    zeros = learn(whole(lesson_of(blank)), THREE, 0, None)
    # Then the first are nearly as good as if nothing were missing
    errors = [mean_square(each(unseen) - unseen) for each in (everything, filled, zeros)]
    assert errors[1] < 1.2 * errors[0]
    assert errors[2] > 2 * errors[0]


def test_the_default_code_explains_nine_tenths_of_the_variance():
    cells = records(500, 0)
    variances = np.sort(np.linalg.eigvalsh(np.cov(cells.T)))[::-1]
    code = learn(lesson_of(cells), DetectorSettings(kind="linear"), 0, None).code_size
    assert variances[: code - 1].sum() < 0.9 * variances.sum() <= variances[:code].sum()


def test_the_default_code_is_never_wider_than_that_of_undercomplete():
    training_set = lesson_of(np.random.default_rng(0).normal(size=(500, 9)).astype(np.float32))
    assert learn(training_set, DetectorSettings(kind="linear"), 0, None).code_size == 7


def test_more_features_than_records_leave_a_code_of_what_there_is():
    training_set = lesson_of(records(24, 0, features=60, causes=60), members=3)
    settings = DetectorSettings(kind="linear", code_size=50)
    autoencoder = learn(training_set, settings, 0, None)
    assert autoencoder.code_size == 16
    assert np.isfinite(autoencoder(records(10, 1, features=60, causes=60))).all()
