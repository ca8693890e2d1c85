import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.sizing import (
    LEAST_HIDDEN,
    MOST_HIDDEN,
    MOST_STEPS,
    MOST_WEIGHTS,
    choose_shape,
    choose_steps,
    widened,
)
from aemon.errors import TrainingError


@pytest.mark.parametrize(
    ("features", "code"), [(1, 0), (2, 1), (3, 2), (4, 3), (20, 15), (100, 75)]
)
def test_the_default_code_is_narrower_than_the_features(features, code):
    shape = choose_shape(features, DetectorSettings())
    assert shape.widths == (features, 3 * features, code, 3 * features, features)


def test_the_code_is_held_against_the_features_that_vary():
    assert choose_shape(20, DetectorSettings(), width=8).code == 6


@pytest.mark.parametrize("code_size", [8, 9, 100])
def test_a_code_as_wide_as_its_input_is_refused(code_size):
    with pytest.raises(TrainingError) as caught:
        choose_shape(20, DetectorSettings(code_size=code_size), width=8)
    assert f"detector.code_size is {code_size}" in str(caught.value)
    assert "only 8 independent features" in str(caught.value)
    assert "at most 7" in caught.value.todo


def test_a_wide_code_is_let_be_where_something_else_regularises():
    shape = choose_shape(20, DetectorSettings(code_size=40), width=8, regularised=True)
    assert shape.code == 40


def test_a_single_feature_takes_no_configured_code():
    with pytest.raises(TrainingError, match=r"leave detector\.code_size out"):
        choose_shape(1, DetectorSettings(code_size=1))


def test_a_configured_hourglass_of_any_depth_is_symmetric():
    settings = DetectorSettings(code_size=3, hidden_sizes=(11, 7, 5))
    shape = choose_shape(9, settings, hidden=(99,), code=8)
    assert shape.widths == (9, 11, 7, 5, 3, 5, 7, 11, 9)
    assert shape.encoder_layers == 4


def test_hidden_layers_are_refused_where_a_kind_has_none():
    settings = DetectorSettings(kind="vanilla", hidden_sizes=(11,))
    with pytest.raises(TrainingError, match="kind vanilla has no layers between"):
        choose_shape(9, settings, hidden=())
    assert choose_shape(9, DetectorSettings(hidden_sizes=()), hidden=()).hidden == ()


def test_a_layer_is_widened_within_what_training_has_time_for():
    assert widened(10, 4) == 40
    assert widened(400, 4) == MOST_HIDDEN
    assert 1555 * widened(1555, 4) <= MOST_WEIGHTS
    assert widened(100_000, 4) == LEAST_HIDDEN
    shape = choose_shape(1555, DetectorSettings())
    assert shape.features > shape.hidden[0] > shape.code


def test_there_are_steps_enough_to_see_each_record_and_never_endless():
    settings = DetectorSettings(batch_records=100)
    assert choose_steps(50, settings, 150) == 150
    assert choose_steps(10_000, settings, 150) == 300
    assert choose_steps(10**9, settings, 150) == MOST_STEPS
    assert choose_steps(10**9, DetectorSettings(steps=7), 150) == 7
