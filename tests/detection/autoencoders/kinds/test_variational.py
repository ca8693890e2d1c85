from dataclasses import replace

import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.autoencoders.autoencoder import DRAWS
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.kinds.variational import learn
from aemon.detection.autoencoders.training import train_autoencoder
from aemon.detection.autoencoders.training_plan import Plan
from aemon.detection.learning import train_detector
from aemon.detection.scoring.scorer_fitting import ScoringPlan, fit_scorer, hold_out
from tests.detection.conftest import frame_of, plant
from tests.detection.training_sets import lesson_of, mean_square, records

SETTINGS = DetectorSettings(kind="variational", code_size=4)
UNSEEN = records(1000, 1, noise=0.2)


@pytest.fixture(scope="module")
def training_set():
    return lesson_of(records(1500, 0, noise=0.2), members=2)


@pytest.fixture(scope="module")
def learned(training_set):
    return learn(training_set, SETTINGS, 0, None)


def nats(autoencoder, cells):
    """Divergence (M, N, C) of each unit of a code from N(0, 1)."""
    mean, deviation = autoencoder.encode(cells), autoencoder.deviations(cells)
    return (mean**2 + deviation**2 - 1) / 2 - np.log(deviation)


def test_codes_of_normal_records_are_a_standard_normal_taken_together(learned):
    for mean, deviation in zip(learned.encode(UNSEEN), learned.deviations(UNSEEN), strict=True):
        drawn = mean + deviation * np.random.default_rng(0).normal(size=mean.shape)
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.2)
        np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.25)
        assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.3


def test_a_code_costs_some_nats_and_no_unit_endlessly_many(learned):
    cost = nats(learned, UNSEEN)
    assert np.isfinite(cost).all()
    assert cost.min() >= -1e-4
    assert 1 < cost.sum(axis=-1).mean() < 20


def test_a_code_takes_only_the_units_it_needs(learned):
    # Given four units for records of three causes
    needed = np.sort(nats(learned, UNSEEN).mean(axis=1), axis=-1)  # (M, C)
    assert (needed[:, 1:] > 0.5).all()
    assert (needed[:, 0] < 0.5 * needed[:, 1]).all()


def test_the_more_a_nat_costs_the_fewer_are_told_and_the_more_is_left_over(training_set):
    plan = Plan(
        widths=(9, 27, 4, 27, 9),
        activations=("silu", "linear", "silu", "linear"),
        encoder_layers=2,
        steps=300,
        batch_records=256,
        learning_rate=0.01,
    )
    told, left = [], []
    for divergence in (0.1, 1, 5):
        each = train_autoencoder(training_set, replace(plan, divergence=divergence), seed=0)
        told.append(nats(each, UNSEEN).sum(axis=-1).mean())
        left.append(mean_square(each(UNSEEN) - UNSEEN))
    assert told == sorted(told, reverse=True)
    assert left == sorted(left)
    assert told[0] > 1.5 * told[2]


def test_a_record_is_decoded_from_several_draws_of_its_code(learned):
    found = learned(UNSEEN[:50])
    assert found.shape == (2 * DRAWS, 50, 9)
    assert found.std(axis=0).min() > 0
    np.testing.assert_allclose(found[:, :7], learned(UNSEEN[:7]), atol=1e-5)


def test_the_score_is_minus_the_mean_log_likelihood_but_for_constants(training_set, learned):
    # Given a scorer fitted as the kind asks, and the spreads of held-out residuals
    held_out = hold_out(learned, training_set)
    floors = np.full(9, 0.02, dtype=np.float32)
    kind = KINDS["variational"]
    plan = ScoringPlan(floors=floors, views=kind.views, diagonal=kind.diagonal)
    scorer = fit_scorer(learned, training_set, held_out, plan).scorer
    spreads = np.sqrt((held_out.residuals.astype(float) ** 2).mean(axis=(0, 1)))
    # When the log-likelihood of records is averaged over the draws of their code, by hand
    gaps = (UNSEEN - learned(UNSEEN)) / spreads
    likelihood = (-0.5 * gaps**2 - np.log(spreads)).sum(axis=-1).mean(axis=0)  # (N,)
    # Then the score is that, less a constant, on another scale
    constant = -np.log(spreads).sum()
    expected = (constant - likelihood) * 2 / 9
    mask = np.ones(UNSEEN.shape, dtype=bool)
    np.testing.assert_allclose(scorer.scores(UNSEEN, mask), expected, rtol=1e-3)


def test_scores_are_the_same_every_time_and_order_faults_by_their_size():
    settings = LearningSettings(detector=DetectorSettings(kind="variational", steps=200))
    detector = train_detector(frame_of(plant(1000, 1)), settings, seed=0)
    medians = []
    for fault in (0, 0.3, 1, 3):
        table = plant(300, 2)
        table["pressure"] += fault
        scores = detector.judge(frame_of(table)).scores
        np.testing.assert_array_equal(scores, detector.judge(frame_of(table)).scores)
        medians.append(np.median(scores))
    assert medians == sorted(medians)
    assert medians[-1] > 20 * medians[0]
