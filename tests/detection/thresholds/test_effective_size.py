import numpy as np
import pytest

from aemon.detection.thresholds.effective_size import independent_records


def autoregressive(n, phi, rng):
    """A Gaussian AR(1) series: rho_k = phi^k."""
    noise = rng.normal(size=n)
    series = np.empty(n)
    series[0] = noise[0] / np.sqrt(1 - phi**2)
    for t in range(1, n):
        series[t] = phi * series[t - 1] + noise[t]
    return series


@pytest.mark.parametrize("phi", [0.3, 0.7, 0.9])
def test_an_autoregressive_series_is_worth_what_is_known(phi):
    n = 4000
    found = [
        independent_records(autoregressive(n, phi, np.random.default_rng(seed)))
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(n * (1 - phi) / (1 + phi), rel=0.15)


@pytest.mark.parametrize("n", [200, 5000])
def test_independent_scores_are_worth_about_their_number(n):
    found = [
        independent_records(np.random.default_rng(seed).lognormal(size=n)) for seed in range(20)
    ]
    assert 0.75 * n < np.mean(found) <= n
    assert min(found) > 0.5 * n


def test_scores_that_alternate_are_worth_no_more_than_their_number():
    assert independent_records(autoregressive(1000, -0.8, np.random.default_rng(0))) <= 1000


def test_one_monstrous_score_hides_no_dependence():
    series = np.exp(autoregressive(2000, 0.9, np.random.default_rng(0)))
    before = independent_records(series)
    series[1000] = 1e300
    assert independent_records(series) == pytest.approx(before, rel=0.2)


def test_a_lasting_change_of_level_is_one_observation():
    assert independent_records(np.repeat([1.0, 2.0], 500)) < 10


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_few_or_equal_scores_are_taken_as_they_are(n):
    assert independent_records(np.ones(n)) == n
    assert min(n, 1) <= independent_records(np.arange(float(n))) <= n
