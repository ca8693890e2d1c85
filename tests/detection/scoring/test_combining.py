import numpy as np
import pytest

from aemon.detection.scoring.combining import (
    FARTHEST,
    LEAST_SCALE,
    TAIL_SHARE,
    View,
    fit_view,
    mean_surprise,
)

VIEW = View(name="one", start=2.0, scale=0.5)
OTHER = View(name="other", start=-1.0, scale=3.0)
EXTREMES = np.array([-np.inf, -1e300, -1e4, -1.0, 0.0, 2.0, 5.0, 1e4, 1e300, np.inf])


def test_a_view_of_exponential_measures_finds_their_tail():
    # Given measures whose excess over any level is 0.7 on average
    values = np.random.default_rng(0).exponential(0.7, 100_000)
    view = fit_view("one", values)
    assert view.start == pytest.approx(-0.7 * np.log(TAIL_SHARE), rel=0.02)
    assert view.scale == pytest.approx(0.7, rel=0.03)


@pytest.mark.parametrize("draw", ["exponential", "normal"])
def test_surprise_is_about_minus_log_of_how_often_normal_records_measure_higher(draw):
    # Given the view of some normal records, and others
    rng = np.random.default_rng(0)
    view = fit_view("one", getattr(rng, draw)(size=20_000))
    others = np.sort(getattr(rng, draw)(size=1_000_000))
    # When the measures that 1 in 20, in 100, in 1,000 exceed are judged
    for rarity in (20, 100, 1000):
        value = others[len(others) - len(others) // rarity]
        # Then that is about how surprising they are
        assert view.surprise(value) == pytest.approx(np.log(rarity), rel=0.2)


def test_beyond_the_start_surprise_grows_by_one_a_scale():
    far = VIEW.surprise(np.array([20.0, 20.5, 21.0]))
    np.testing.assert_allclose(np.diff(far), 1, atol=1e-9)
    assert far[0] == pytest.approx(np.log(10) + (20 - 2) / 0.5)


def test_surprise_rises_with_the_measure_and_is_never_negative():
    values = np.linspace(-50, 50, 10_001)
    surprise = VIEW.surprise(values)
    assert (np.diff(surprise) > 0).all()
    assert (surprise > 0).all()
    assert surprise[0] < 1e-40


def test_surprise_is_finite_at_the_extremes():
    surprise = VIEW.surprise(EXTREMES)
    assert np.isfinite(surprise).all()
    assert (np.diff(surprise) >= 0).all()
    assert surprise[-1] == pytest.approx(FARTHEST - np.log(TAIL_SHARE))
    assert surprise[0] >= 0


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.array([3.0])], ids=["alike", "one"])
def test_measures_without_a_tail_make_a_narrow_one(values):
    view = fit_view("one", values)
    assert (view.start, view.scale) == (3.0, LEAST_SCALE)
    assert view.surprise(3.1) > 50 > view.surprise(3.0)


def test_the_mean_surprise_is_the_views_mean_and_its_parts_are_theirs():
    measures = {"one": np.array([1.0, 3.0, 9.0]), "other": np.array([8.0, -5.0, 0.0])}
    mean, parts = mean_surprise((VIEW, OTHER), measures)
    each = np.stack([VIEW.surprise(measures["one"]), OTHER.surprise(measures["other"])], axis=1)
    np.testing.assert_allclose(mean, each.mean(axis=1))
    np.testing.assert_allclose(parts * 2 * mean[:, None], each)
    np.testing.assert_allclose(parts.sum(axis=1), 1)


def test_parts_add_up_to_one_where_nothing_surprises():
    mean, parts = mean_surprise((VIEW, VIEW), {"one": EXTREMES})
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(parts, 0.5)


def test_a_view_of_other_units_says_the_same():
    # Given measures, and the same on another scale
    values = np.random.default_rng(0).normal(size=2000)
    plain, scaled = fit_view("one", values), fit_view("one", 5 + 3 * values)
    # Then they are as surprising
    np.testing.assert_allclose(plain.surprise(values), scaled.surprise(5 + 3 * values))
