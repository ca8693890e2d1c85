import numpy as np
import pytest

from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.closed_form import as_layer
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.residuals import (
    LEAST_SHRINKAGE,
    fit_whitening,
    reconstruction_errors,
    residuals_of,
    shrinkage_of,
)

N, F = 4000, 4
rng = np.random.default_rng(0)
ROOT = rng.normal(size=(F, F))
SEEN = np.ones((N, F), dtype=bool)
ONES = np.ones(F, dtype=np.float32)
FLOORS = np.full(F, 0.01, dtype=np.float32)
RESIDUALS = (rng.normal(size=(2, N, F)) @ ROOT).astype(np.float32)


def test_normal_residuals_err_by_one_a_feature_on_average():
    whitening = fit_whitening(RESIDUALS, SEEN, ONES, FLOORS)
    assert reconstruction_errors(RESIDUALS, SEEN, whitening, ONES).mean() == pytest.approx(
        1, abs=0.2
    )


def test_errors_add_up_to_the_mahalanobis_distance():
    whitening = fit_whitening(RESIDUALS, SEEN, ONES, FLOORS)
    gap = RESIDUALS[:1, :1]
    errors = reconstruction_errors(gap, SEEN[:1], whitening, ONES)
    inverse = whitening.astype(float) @ whitening
    assert errors.sum() == pytest.approx(gap[0, 0] @ inverse @ gap[0, 0], rel=1e-4)
    np.testing.assert_allclose(whitening, whitening.T, atol=1e-6)


def test_the_whitening_undoes_what_correlation_the_shrinkage_leaves():
    whitening = fit_whitening(RESIDUALS, SEEN, ONES, FLOORS)
    together = np.concatenate(list(RESIDUALS)).astype(float)
    moment = together.T @ together / len(together)
    scale = np.sqrt(np.diag(moment))
    shrunk = moment * (1 - LEAST_SHRINKAGE)
    np.fill_diagonal(shrunk, scale**2)
    np.testing.assert_allclose(whitening @ shrunk @ whitening, np.eye(F), atol=1e-3)


def test_a_diagonal_whitening_knows_spreads_alone():
    whitening = fit_whitening(RESIDUALS, SEEN, ONES, FLOORS, diagonal=True)
    spreads = np.sqrt((RESIDUALS.astype(float) ** 2).mean(axis=(0, 1)))
    np.testing.assert_allclose(whitening, np.diag(1 / spreads), rtol=1e-4)


def test_members_that_disagree_raise_the_error():
    whitening = np.eye(F, dtype=np.float32)
    agreed = np.zeros((2, 1, F), dtype=np.float32)
    parted = np.stack([agreed[0] + 1, agreed[1] - 1])
    assert reconstruction_errors(agreed, SEEN[:1], whitening, ONES).sum() == 0
    assert reconstruction_errors(parted, SEEN[:1], whitening, ONES).sum() == F


def test_no_residual_is_believed_to_be_smaller_than_its_floor():
    tiny = np.zeros((1, N, F), dtype=np.float32)
    whitening = fit_whitening(tiny, SEEN, ONES, FLOORS)
    np.testing.assert_allclose(whitening, np.eye(F) * 100, rtol=1e-5)


def test_weightless_features_have_no_part_in_any_error():
    weights = np.array([1, 0, 1, 1], dtype=np.float32)
    whitening = fit_whitening(RESIDUALS, SEEN, weights, FLOORS)
    errors = reconstruction_errors(RESIDUALS, SEEN, whitening, weights)
    assert not whitening[1].any()
    assert not whitening[:, 1].any()
    assert not errors[:, 1].any()


def test_few_records_with_gaps_still_give_a_usable_whitening():
    # Given fewer records than features, each with holes of its own
    seen = rng.random((5, 30)) < 0.5
    gaps = rng.normal(size=(1, 5, 30)).astype(np.float32) * seen
    ones, floors = np.ones(30, dtype=np.float32), np.full(30, 0.02, dtype=np.float32)
    whitening = fit_whitening(gaps, seen, ones, floors)
    assert np.isfinite(whitening).all()
    assert np.linalg.eigvalsh(whitening).min() > 0


def test_few_records_shrink_correlations_more_than_many():
    independent = rng.normal(size=(N, F))
    shares = [
        shrinkage_of(part, part.T @ part / len(part)) for part in (independent[:8], RESIDUALS[0])
    ]
    assert shares[0] > 0.4
    assert shares[1] == LEAST_SHRINKAGE


def test_a_missing_cell_is_filled_from_the_others():
    # Given an autoencoder of two features that are always alike, and a record that lacks one
    half = np.full((2, 1), 0.5**0.5)
    autoencoder = Autoencoder(
        weights=(as_layer(half), as_layer(half.T)),
        biases=(as_layer(np.zeros(1)), as_layer(np.zeros(2))),
        activations=("linear", "linear"),
        encoder_layers=1,
        outputs=Outputs.linear(2),
    )
    record = np.array([[4, 0]], dtype=np.float32)
    mask = np.array([[True, False]])
    # When it is filled again and again
    gaps = [
        abs(residuals_of(autoencoder, record, mask, rounds=rounds).residuals[0, 0, 0])
        for rounds in (0, 4, 20)
    ]
    # Then it comes to be what the other says, and the one observed is not to blame
    assert gaps[0] == 2
    assert gaps[0] > gaps[1] > gaps[2]
    found = residuals_of(autoencoder, record, mask, rounds=20)
    assert found.reconstruction[0, 1] == pytest.approx(4, abs=0.01)
    assert found.residuals[0, 0, 1] == 0
