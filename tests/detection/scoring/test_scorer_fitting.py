import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.scoring.neighbours import MOST_PROTOTYPES
from aemon.detection.scoring.residuals import residuals_of
from aemon.detection.scoring.scorer_fitting import (
    GUARD_PROTOTYPES,
    MOST_STRETCH,
    UPPER,
    hold_out,
)
from aemon.detection.thresholds.threshold import calibrate
from tests.detection.training_sets import fit, lesson_of, records, wandering

NORMAL = records(300, seed=0)
NOISE = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
BY_HEART = DetectorSettings(kind="linear", code_size=25)
"""Settings that learn 20 records of nothing but noise by heart."""


def sizes(residuals):
    """Of residuals (D, N, F), each (D, N)."""
    return np.sqrt((residuals.astype(float) ** 2).sum(axis=2))


def farthest_from_others(found, folds):
    """Log of the largest squared distance, a feature, to the nearest record of another fold."""
    gaps = ((found[:, None].astype(float) - found) ** 2).mean(axis=2)
    gaps[folds[:, None] == folds] = np.inf
    return np.log(gaps.min(axis=1).max())


class TestHoldOut:
    def test_what_members_know_by_heart_says_nothing_of_what_is_new(self):
        # Given members that know their own records by heart
        training_set = lesson_of(NOISE, members=3)
        autoencoder = KINDS["linear"].learn(training_set, BY_HEART, 0, None)
        known = sizes(residuals_of(autoencoder, NOISE, training_set.mask).residuals)[
            ~training_set.unseen
        ]
        # When each record is held out
        held_out = sizes(hold_out(autoencoder, training_set).residuals)
        # Then its residual is that of the one member that never saw it, like that of a new one
        new = np.random.default_rng(1).normal(size=(500, 40)).astype(np.float32)
        fresh = sizes(residuals_of(autoencoder, new, np.ones(new.shape, dtype=bool)).residuals)
        assert held_out.shape == (1, 30)
        assert np.median(known) < 0.001 * np.median(fresh)
        assert np.median(held_out) == pytest.approx(np.median(fresh), rel=0.1)

    def test_residuals_of_seen_records_are_stretched_to_the_size_of_those_of_unseen_ones(self):
        # Given members that know their own records a little better than others
        training_set = lesson_of(NORMAL, members=3)
        settings = DetectorSettings(kind="linear", code_size=6)
        autoencoder = KINDS["linear"].learn(training_set, settings, 0, None)
        plain = residuals_of(autoencoder, NORMAL, training_set.mask).residuals
        # When records are held out
        held_out = hold_out(autoencoder, training_set).residuals
        # Then those of the members that saw them are larger by one factor, the others as they were
        factor = (held_out / plain)[~training_set.unseen]
        np.testing.assert_array_equal(held_out[training_set.unseen], plain[training_set.unseen])
        np.testing.assert_allclose(factor, factor.mean(), rtol=1e-4)
        assert 1.01 < factor.mean() <= MOST_STRETCH
        upper = [
            np.quantile(sizes(held_out)[w], UPPER)
            for w in (training_set.unseen, ~training_set.unseen)
        ]
        assert upper[0] == pytest.approx(upper[1], rel=1e-4)

    def test_of_a_single_member_nothing_is_made_of_what_it_saw(self):
        training_set = lesson_of(NORMAL, members=1)
        autoencoder = KINDS["linear"].learn(training_set, DetectorSettings(kind="linear"), 0, None)
        np.testing.assert_array_equal(
            hold_out(autoencoder, training_set).residuals,
            residuals_of(autoencoder, NORMAL, training_set.mask).residuals,
        )

    def test_missing_cells_are_filled_and_the_others_stay(self):
        mask = np.random.default_rng(0).random(NORMAL.shape) < 0.9
        found = np.where(mask, NORMAL, 0)
        training_set = lesson_of(found, mask=mask, members=3)
        autoencoder = KINDS["linear"].learn(training_set, DetectorSettings(kind="linear"), 0, None)
        filled = hold_out(autoencoder, training_set).filled
        np.testing.assert_array_equal(filled[mask], NORMAL[mask])
        assert np.abs(filled - NORMAL)[~mask].mean() < 0.5 * np.abs(NORMAL)[~mask].mean()


class TestScores:
    @pytest.mark.parametrize(
        ("kind", "seeds"), [("auto", 15), ("undercomplete", 15), ("linear", 60)]
    )
    @pytest.mark.parametrize("members", [1, 3])
    def test_normal_records_in_any_order_are_flagged_as_rarely_as_promised(
        self, kind, seeds, members
    ):
        # Given, again and again, normal records of which one in a hundred may be flagged
        realised = []
        for seed in range(seeds):
            fitted = fit(kind, records(600, seed=seed), members=members, seed=seed)
            line = calibrate(fitted.scores, 0.01).value
            # When new ones come
            new = records(2000, seed=1000 + seed)
            scores = fitted.scorer.scores(new, np.ones(new.shape, dtype=bool))
            realised.append((scores > line).mean())
        # Then on average that is how many are
        assert 0.005 < np.mean(realised) < 0.014

    @pytest.mark.parametrize("members", [1, 3])
    def test_few_records_look_neither_more_nor_less_normal_than_new_ones(self, members):
        # Given, again and again, so few records that a whitening fits those it was made of
        above = []
        for seed in range(60):
            fitted = fit("linear", records(100, seed=seed), members=members)
            new = records(1000, seed=5000 + seed)
            scores = fitted.scorer.scores(new, np.ones(new.shape, dtype=bool))
            above.append((scores > np.quantile(fitted.scores, 0.75)).mean())
        # Then a quarter of the new ones scores as high as a quarter of those held out
        assert np.mean(above) == pytest.approx(0.25, abs=0.025)

    def test_the_farthest_record_is_one_that_the_guard_would_flag(self):
        # Given a record on the line of the others, ten times as far out
        line = records(300, seed=0, causes=1)
        direction = np.linalg.svd(line)[2][0].astype(np.float32)
        fitted = fit("linear", np.concatenate([line, 90 * direction[None]]))
        # Then, held against the others alone, none scores as high
        assert fitted.scores.argmax() == 300
        assert fitted.scores[300] > 10 * fitted.scores[:300].max()
        assert fitted.scorer.guards[0].ceiling < fitted.scores[300]

    def test_every_record_has_one_and_of_a_single_member_the_newest_fifth(self):
        every, newest = (fit("linear", NORMAL, members=members) for members in (3, 1))
        np.testing.assert_array_equal(every.rows, np.arange(300))
        np.testing.assert_array_equal(newest.rows, np.arange(240, 300))
        for fitted in (every, newest):
            assert len(fitted.scores) == len(fitted.rows)
            assert fitted.error > 0

    def test_a_wild_record_does_not_make_itself_usual(self):
        # Given one record far from all others, in every feature
        wild = np.concatenate([NORMAL, np.full((1, 9), 50, dtype=np.float32)])
        # When it is scored with the others it was learned with
        scores = fit("linear", wild).scores
        # Then it is odder than a covariance that knew it could say: n at most
        assert scores[300] > 300
        assert np.median(scores) < 2

    @pytest.mark.parametrize("kind", ["auto", "linear"])
    def test_no_record_is_its_own_neighbour(self, kind):
        radius = fit(kind, NORMAL).scorer.guards[0].radius
        assert radius == pytest.approx(farthest_from_others(NORMAL, np.arange(300)), abs=1e-3)

    @pytest.mark.parametrize("kind", ["auto", "linear"])
    def test_in_a_series_none_of_the_own_fold_is_a_neighbour(self, kind):
        # Given a series, and the same records shuffled
        series = wandering(300, seed=0)
        shuffled = np.random.default_rng(0).permutation(series)
        folds = lesson_of(series, members=3).folds
        in_order, in_any = (
            fit(kind, found).scorer.guards[0].radius for found in (series, shuffled)
        )
        # Then in order of time each is held against the records of other folds alone
        assert in_order == pytest.approx(farthest_from_others(series, folds), abs=1e-3)
        assert in_any == pytest.approx(farthest_from_others(series, np.arange(300)), abs=1e-3)
        assert in_order > in_any + 1


class TestPrototypes:
    @pytest.mark.parametrize(("kind", "most"), [("linear", GUARD_PROTOTYPES), ("auto", 4000)])
    def test_they_are_all_normal_records_or_as_many_as_pay(self, kind, most):
        many = records(most + 100, seed=0)
        space = fit(kind, many, settings=DetectorSettings(kind=kind, steps=5)).scorer.space
        few = fit(kind, NORMAL, settings=DetectorSettings(kind=kind, steps=5)).scorer.space
        assert len(space.prototypes) == most <= MOST_PROTOTYPES
        assert {row.tobytes() for row in space.normal_records} <= {row.tobytes() for row in many}
        np.testing.assert_array_equal(few.normal_records, NORMAL)

    def test_they_are_told_by_the_seed(self):
        many = records(700, seed=0)
        first, again, other = (
            fit("linear", many, seed=seed).scorer.space.normal_records for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_those_that_are_not_trusted_are_none_but_are_scored_all_the_same(self):
        trusted = np.arange(300) % 10 > 0
        fitted = fit("auto", NORMAL, trusted=trusted)
        np.testing.assert_array_equal(fitted.scorer.space.normal_records, NORMAL[trusted])
        np.testing.assert_array_equal(fitted.rows, np.arange(300))
        assert fitted.scorer.space.vouchers == 270 // 20
        assert fit("auto", NORMAL).scorer.space.vouchers == 1

    def test_residuals_of_those_that_are_not_trusted_widen_no_whitening(self):
        # Given records of which every tenth hangs together in no way, and is not trusted
        trusted = np.arange(300) % 10 > 0
        noise = np.random.default_rng(0).normal(size=NORMAL.shape)
        both = np.where(trusted[:, None], NORMAL, noise).astype(np.float32)
        settings = DetectorSettings(kind="linear", code_size=3)
        # When scorers are fitted with and without the suspicion
        clean, suspecting, unsuspecting = (
            np.diag(
                fit("linear", found, trusted=who, settings=settings).scorer.space.whitening
            ).mean()
            for found, who in ((NORMAL, None), (both, trusted), (both, None))
        )
        # Then the suspecting one is as strict as if there were none of them
        assert suspecting == pytest.approx(clean, rel=0.1)
        assert unsuspecting < 0.5 * clean


def test_new_records_of_many_columns_look_no_odder_than_those_held_out():
    # Given more columns than records, whose correlations are in part chance
    few, new = (
        records(count, seed=seed, features=300, causes=10, noise=0.7)
        for count, seed in ((150, 0), (600, 1))
    )
    settings = DetectorSettings(kind="undercomplete", members=3, steps=60)
    fitted = fit("undercomplete", few, settings=settings)
    scores = fitted.scorer.scores(new, np.ones(new.shape, dtype=bool))
    # Then few new ones are beyond all that were held out (one in six were)
    assert (scores > fitted.scores.max()).mean() < 0.02
