"""Modes: products and recipes, which are given, never to blame, and judged each by its own threshold."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.features.feature_fitting import describe_columns, fit_features
from aemon.detection.learning import train_detector
from aemon.detection.thresholds.by_mode import ModeScale, fit_mode_scale
from aemon.errors import FrameError, TrainingError

LEVELS = {"r1": (20.0, 0.5), "r2": (60.0, 5.0), "r3": (40.0, 0.5)}
"""Of recipes: the level they live at, and how noisy they are."""


def records(count: int, seed: int, modes=tuple(LEVELS)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(modes, count)
    level, noise = np.array([LEVELS.get(mode, (30.0, 0.5)) for mode in chosen]).T
    load = rng.uniform(0, 1, count)
    return pd.DataFrame(
        {
            "recipe": chosen,
            "heat": level + 10 * load + noise * rng.normal(size=count),
            "flow": 2 * load + 0.01 * noise * rng.normal(size=count),
        }
    )


def settings(**columns) -> LearningSettings:
    return LearningSettings(
        columns=ColumnSettings(**columns),
        detector=DetectorSettings(steps=150, members=2, series=False),
        threshold=ThresholdSettings(false_alarm_rate=0.01),
    )


@pytest.fixture(scope="module")
def frames():
    from tests.detection.conftest import frame_of

    return frame_of(records(1500, 0)), frame_of(records(3000, 1))


@pytest.fixture(scope="module")
def detector(frames) -> Detector:
    return train_detector(frames[0], settings(mode="recipe"), seed=0)


def test_each_mode_keeps_the_promise(frames, detector):
    frame = frames[1]
    flagged = detector.judge(frame).anomalous
    rates = {mode: flagged[(frame.values["recipe"] == mode).to_numpy()].mean() for mode in LEVELS}
    assert max(rates.values()) < 0.025, rates
    assert min(rates.values()) > 0.001, rates
    assert detector.mode_scale.calibrated == 3


def test_what_is_usual_of_another_mode_is_odd(detector, make_frame):
    # Given the heat of one recipe under the name of another
    odd = records(60, 3, modes=("r3",)).assign(recipe="r1")
    looked = detector.look(make_frame(odd))
    assert looked.judgement.anomalous.all()
    # Then the mode is not to blame
    for one in looked.explain(np.arange(20)):
        assert {part.column for part in one.contributions} == {"heat", "flow"}
        assert "recipe" not in one.reason


def test_a_mode_that_was_not_there_says_so(detector, make_frame):
    new = records(40, 4, modes=("r7",))
    looked = detector.look(make_frame(new))
    assert looked.judgement.anomalous.all()
    assert all(
        "recipe r7 is not in the training records" in one.reason
        for one in looked.explain(np.arange(40))
    )


def test_a_record_without_a_mode_is_judged_by_the_one_that_it_fits(detector, make_frame):
    missing = records(500, 5).assign(recipe=None)
    assert detector.judge(make_frame(missing)).anomalous.mean() < 0.03
    missing["flow"] = 5.0
    looked = detector.look(make_frame(missing))
    assert looked.judgement.anomalous.all()
    assert looked.explain(np.array([0]))[0].contributions[0].column == "flow"


def test_a_mode_is_context(frames):
    reports = describe_columns(frames[0], ColumnSettings(mode="recipe"))
    assert (reports[0].column, reports[0].kind) == ("recipe", "context")
    assert reports[0].reason == "3 modes: read but not judged"
    features = fit_features(frames[0], ColumnSettings(mode="recipe"))
    assert [name for name, _ in features.judged] == ["heat", "flow"]
    assert features.context == 3
    assert (features.weights[-3:] == 0).all()


def test_entities_and_modes_are_context_together(make_frame):
    table = records(1200, 6)
    frame = make_frame(table, entities=np.random.default_rng(0).choice(["a", "b"], 1200).tolist())
    detector = train_detector(frame, settings(mode="recipe"), seed=0)
    assert detector.feature_map.context == 5
    assert detector.judge(frame).anomalous.mean() < 0.03


def test_what_is_stored_judges_the_same(frames, detector):
    again = Detector.from_state(*detector.state())
    np.testing.assert_array_equal(again.judge(frames[1]).scores, detector.judge(frames[1]).scores)
    assert again.feature_map.mode == detector.feature_map.mode


def test_numbers_may_be_modes(make_frame):
    table = records(600, 7)
    table["recipe"] = table["recipe"].str[1:].astype(float)
    detector = train_detector(make_frame(table), settings(mode="recipe"), seed=0)
    assert set(detector.feature_map.mode.names) == {"1", "2", "3"}


def test_one_mode_alone_is_watched(make_frame):
    detector = train_detector(
        make_frame(records(300, 8, modes=("r1",))), settings(mode="recipe"), 0
    )
    assert detector.feature_map.context == 0
    looked = detector.look(make_frame(records(5, 9, modes=("r2",))))
    assert looked.judgement.anomalous.all()


def test_what_cannot_be_a_mode_is_refused(make_frame):
    table = records(300, 8).assign(number=np.arange(300), nothing=None)
    with pytest.raises(FrameError, match=r"named under columns\.mode") as refused:
        fit_features(make_frame(table), ColumnSettings(mode="recip"))
    assert "did you mean 'recipe'?" in refused.value.todo
    with pytest.raises(TrainingError, match="holds 300 different values, such as '0', '1', '2'"):
        fit_features(make_frame(table), ColumnSettings(mode="number"))
    with pytest.raises(TrainingError, match="every cell of 'nothing' is missing"):
        fit_features(make_frame(table), ColumnSettings(mode="nothing"))
    with pytest.raises(ValueError, match="mode: recipe is context, and not judged"):
        ColumnSettings(mode="recipe", exclude=("recipe",))


def test_without_its_column_nothing_is_judged(detector, make_frame):
    with pytest.raises(FrameError, match="the mode that this detector was trained on, is missing"):
        detector.judge(make_frame(records(5, 0).drop(columns="recipe")))


def test_scores_of_all_modes_come_to_one_scale_and_back():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 3000)
    scores = np.exp(rng.normal(size=3000) * np.array([0.2, 1.0, 0.5])[codes] + codes)
    codes[:30] = -2  # in no known mode
    scale = fit_mode_scale(scores, codes, 3, ThresholdSettings(), 0.01)
    common = scale.common(scores, codes)
    np.testing.assert_allclose(scale.own(common, codes), scores, rtol=1e-9)
    np.testing.assert_array_equal(common[:30], scores[:30])
    above = common > np.quantile(scores, 0.99)
    for mode in range(3):
        assert above[codes == mode].mean() == pytest.approx(0.01, abs=0.006)
    again = ModeScale.from_json(scale.as_json())
    np.testing.assert_array_equal(again.common(scores, codes), common)


def test_a_mode_with_few_records_and_a_fixed_threshold_are_left_alone():
    scores, codes = np.random.default_rng(0).exponential(size=400), np.repeat([0, 1], [350, 50])
    scale = fit_mode_scale(scores, codes, 2, ThresholdSettings(), 0.01)
    assert scale.calibrated == 1
    np.testing.assert_array_equal(scale.common(scores, codes)[350:], scores[350:])
    assert fit_mode_scale(scores, codes, 2, ThresholdSettings(), 0.001) is None
    fixed = ThresholdSettings(method="fixed", value=2.0)
    assert fit_mode_scale(scores, codes, 2, fixed, 0.01) is None
