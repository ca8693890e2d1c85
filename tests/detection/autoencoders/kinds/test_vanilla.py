import numpy as np
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.vanilla import learn
from aemon.errors import TrainingError
from tests.detection.training_sets import lesson_of, mean_square, records

NINE_FIVE_NINE = DetectorSettings(kind="vanilla", code_size=5)


@pytest.fixture(scope="module")
def learned():
    return learn(lesson_of(records(1000, 0), members=2), NINE_FIVE_NINE, 0, None)


def test_it_is_one_sigmoid_layer_and_a_linear_one(learned):
    assert [w.shape for w in learned.weights] == [(2, 9, 5), (2, 5, 9)]
    assert learned.activations == ("sigmoid", "linear")
    code = learned.encode(records(500, 1))
    assert 0 < code.min() < code.max() < 1


def test_the_decoder_is_the_encoder_transposed(learned):
    encoder, decoder = learned.weights
    np.testing.assert_array_equal(decoder, encoder.transpose(0, 2, 1))
    assert np.abs(encoder).max() > 0.5


def test_nine_features_of_three_causes_pass_through_five_units(learned):
    unseen = records(500, 1)
    for reconstruction in learned(unseen):
        assert mean_square(reconstruction - unseen) < 0.15 * mean_square(unseen - unseen.mean(0))


def test_the_rate_stays_and_momentum_counts():
    training_set = lesson_of(records(300, 0))
    unseen = records(300, 1)

    def error(**changes):
        settings = NINE_FIVE_NINE.model_copy(update={"steps": 100, **changes})
        return mean_square(learn(training_set, settings, 0, None)(unseen) - unseen)

    assert error() < error(momentum=0.0)
    assert error(learning_rate=0.1) < error(learning_rate=0.001)


def test_hidden_layers_are_refused():
    settings = DetectorSettings(kind="vanilla", hidden_sizes=(20,))
    with pytest.raises(TrainingError, match="kind vanilla has no layers"):
        learn(lesson_of(records(100, 0)), settings, 0, None)
