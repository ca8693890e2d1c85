import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.scoring.combining import View
from aemon.detection.scoring.normal_space import BLOCK_RECORDS
from aemon.detection.scoring.residuals import residuals_of
from aemon.detection.scoring.scorer import FARTHEST, Guard, combine
from tests.detection.training_sets import fit, records

NORMAL = records(600, seed=0)
NEW = records(2000, seed=1)
ODD = NEW[:200] + 2 * np.random.default_rng(2).normal(size=(200, 9)).astype(np.float32)
SEEN = np.ones(NEW.shape, dtype=bool)
VIEWS = (
    View(name="residual", start=1.0, scale=0.3),
    View(name="neighbour", start=-2.0, scale=0.5),
    View(name="density", start=0.5, scale=0.2),
)


@pytest.fixture(scope="module", params=["auto", "linear"])
def fitted(request):
    """Scorers of four views and of one."""
    return fit(request.param, NORMAL)


def test_scores_are_alike_alone_and_in_any_company(fitted):
    # Given records of more than a block, of which some lack cells
    many = np.concatenate([NEW, ODD])[: BLOCK_RECORDS + 50]
    mask = np.random.default_rng(0).random(many.shape) < 0.9
    many = np.where(mask, many, 0)
    together = fitted.scorer.scores(many, mask)
    assert len(many) > BLOCK_RECORDS
    # When they are scored in another order, alone, or taken apart
    np.testing.assert_allclose(fitted.scorer.scores(many[::-1], mask[::-1])[::-1], together, 1e-3)
    for row in (0, 77, BLOCK_RECORDS, len(many) - 1):
        alone = fitted.scorer.scores(many[row : row + 1], mask[row : row + 1])
        np.testing.assert_allclose(alone, together[row], 1e-3)
    # Then they have the same scores
    np.testing.assert_allclose(fitted.scorer.parts(many, mask).scores, together, 1e-3)


def test_parts_add_up_to_the_gap_from_the_outline_and_missing_cells_have_none(fitted):
    mask = np.random.default_rng(0).random(ODD.shape) < 0.8
    found = np.where(mask, ODD, 0)
    parts = fitted.scorer.parts(found, mask)
    guessed = fitted.scorer.space.guess(found, mask)
    gaps = fitted.scorer.outline.errors(guessed, mask).sum(axis=1)
    np.testing.assert_allclose(parts.errors.sum(axis=1), gaps, rtol=1e-3)
    assert (parts.errors >= 0).all()
    assert not parts.errors[~mask].any()


def test_odd_records_score_higher_than_normal_ones(fitted):
    normal, odd = fitted.scorer.scores(NEW, SEEN), fitted.scorer.scores(ODD, SEEN[:200])
    assert (odd > np.quantile(normal, 0.99)).mean() > 0.99
    assert 0 < np.median(normal) < 1


def test_with_one_view_its_measure_is_the_score():
    scorer = fit("linear", NORMAL).scorer
    residuals, _ = residuals_of(scorer.autoencoder, NEW, SEEN)
    measures = scorer.space.measure(NEW, SEEN, residuals, scorer.wanted).values
    within = measures["neighbour"] <= scorer.guards[0].radius
    np.testing.assert_allclose(
        scorer.scores(NEW, SEEN)[within], np.exp(measures["residual"])[within]
    )
    assert within.mean() > 0.95


class TestCombine:
    @pytest.mark.parametrize("views", [VIEWS, VIEWS[:1]], ids=["several", "one"])
    @pytest.mark.parametrize("name", ["residual", "neighbour", "density"])
    def test_the_higher_a_measure_the_higher_the_score(self, views, name):
        # Given records that differ in one measure alone, from usual to far
        rising = np.linspace(-3, 20, 500)
        values = {view.name: np.full(500, view.start - 0.5) for view in VIEWS} | {name: rising}
        # Then the farther, the higher they score; of a measure that is no view nothing comes
        steps = np.diff(np.log(combine(views, values)))
        if name in {view.name for view in views}:
            assert (steps > 0).all()
        else:
            assert not steps.any()

    def test_a_record_at_every_start_scores_as_their_mean(self):
        values = {view.name: np.array([view.start]) for view in VIEWS}
        assert np.log(combine(VIEWS, values)) == pytest.approx((1.0 - 2.0 + 0.5) / 3)

    @pytest.mark.parametrize("views", [VIEWS, VIEWS[:1]], ids=["several", "one"])
    def test_scores_are_finite_at_the_extremes(self, views):
        extremes = np.array([-1e300, -1e4, 0.0, 1e4, 1e300])
        scores = combine(views, dict.fromkeys(("residual", "neighbour", "density"), extremes))
        assert np.isfinite(scores).all()
        assert (np.diff(scores) >= 0).all()
        assert scores[-1] <= np.exp(FARTHEST)


class TestGuard:
    def test_it_is_silent_within_the_radius_and_louder_than_any_normal_record_beyond(self):
        found = Guard(radius=1.0, ceiling=5.0).scores(np.array([-50.0, 1.0, 1.001, 2.0, 3.0]))
        np.testing.assert_allclose(found, [0, 0, 5 * np.exp(0.001), 5 * np.exp(1), 5 * np.exp(2)])

    @pytest.mark.parametrize(
        ("kind", "how"),
        [("linear", {}), ("undercomplete", {"activation": "linear", "noise": 0.0, "steps": 800})],
        ids=["linear", "undercomplete"],
    )
    def test_a_record_unlike_any_is_flagged_where_the_autoencoder_extends_to_it(self, kind, how):
        # Given normal records along one line, an autoencoder without bends, and a record far out
        # on that very line
        line = records(600, seed=0, causes=1)
        settings = DetectorSettings(kind=kind, code_size=1, **how)
        fitted = fit(kind, line, settings=settings)
        direction = np.linalg.svd(line - line.mean(axis=0))[2][:1].astype(np.float32)
        far = 30 * direction
        # When it is judged
        residuals, _ = residuals_of(fitted.scorer.autoencoder, far, SEEN[:1])
        measures = fitted.scorer.space.measure(far, SEEN[:1], residuals, fitted.scorer.wanted)
        score = fitted.scorer.scores(far, SEEN[:1])
        # Then it comes back better than most normal records, and is odder than any of them
        assert np.exp(measures.values["residual"]) < np.median(fitted.scores)
        assert score > 100 * fitted.scores.max()
        assert fitted.scorer.parts(far, SEEN[:1]).scores == pytest.approx(score)

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_no_kind_lets_a_record_ten_times_as_far_as_any_pass(self, kind):
        fitted = fit(kind, NORMAL, settings=DetectorSettings(kind=kind, steps=100))
        far = 10 * np.abs(NORMAL).max() * np.sign(NEW[:50])
        assert (fitted.scorer.scores(far, SEEN[:50]) > fitted.scores.max()).all()
