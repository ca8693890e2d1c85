import numpy as np
import pytest

from aemon.detection.scoring import fit_whitening, reconstruction_errors, scores

N, F = 4000, 4
rng = np.random.default_rng(0)
ROOT = rng.normal(size=(F, F))
SEEN = np.ones((N, F), dtype=bool)
ONES = np.ones(F, dtype=np.float32)
FLOORS = np.full(F, 0.01, dtype=np.float32)
RESIDUALS = (rng.normal(size=(2, N, F)) @ ROOT).astype(np.float32)


def test_normal_residuals_score_one_on_average():
    whitening = fit_whitening(RESIDUALS, SEEN, ONES, FLOORS)
    errors = reconstruction_errors(RESIDUALS, SEEN, whitening, ONES)
    assert scores(errors, SEEN, ONES).mean() == pytest.approx(1, abs=0.2)


def test_errors_add_up_to_the_mahalanobis_distance():
    whitening = fit_whitening(RESIDUALS[:1], SEEN, ONES, FLOORS)
    gap = RESIDUALS[:1, :1]
    errors = reconstruction_errors(gap, SEEN[:1], whitening, ONES)
    inverse = whitening[0].astype(float) @ whitening[0]
    expected = gap[0, 0] @ inverse @ gap[0, 0]
    assert errors.sum() == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(whitening[0], whitening[0].T, atol=1e-6)


def test_no_residual_is_believed_to_be_smaller_than_its_floor():
    tiny = np.zeros((1, N, F), dtype=np.float32)
    whitening = fit_whitening(tiny, SEEN, ONES, FLOORS)
    np.testing.assert_allclose(whitening[0], np.eye(F) * 100, rtol=1e-5)


def test_weightless_features_have_no_part_in_any_error():
    weights = np.array([1, 0, 1, 1], dtype=np.float32)
    whitening = fit_whitening(RESIDUALS, SEEN, weights, FLOORS)
    errors = reconstruction_errors(RESIDUALS, SEEN, whitening, weights)
    assert not whitening[:, 1].any()
    assert not whitening[:, :, 1].any()
    assert not errors[:, 1].any()


def test_a_missing_cell_carries_no_error_and_the_rest_is_rescaled():
    errors = np.array([[2, 2, 2, 2], [2, 2, 0, 0]], dtype=np.float32)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=bool)
    assert scores(errors, mask, ONES).tolist() == [2, 2]
    assert scores(errors[:1] * 0, mask[:1] & False, ONES).tolist() == [0]


def test_few_records_with_gaps_still_give_a_usable_whitening():
    # Given fewer records than features, each with holes of its own
    seen = rng.random((5, 30)) < 0.5
    gaps = rng.normal(size=(1, 5, 30)).astype(np.float32) * seen
    ones, floors = np.ones(30, dtype=np.float32), np.full(30, 0.02, dtype=np.float32)
    whitening = fit_whitening(gaps, seen, ones, floors)
    assert np.isfinite(whitening).all()
    assert np.linalg.eigvalsh(whitening[0]).min() > 0
