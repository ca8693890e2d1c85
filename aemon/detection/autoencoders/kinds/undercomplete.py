"""Undercomplete: a symmetric autoencoder whose code is narrower than its input."""

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.hourglass import train_hourglass
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_plan import Choices
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 150
LEARNING_RATE = 0.02
NOISE = 0.5

CHOICES = Choices(least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, noise=NOISE)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Learn to reconstruct the features from a narrow code.

    With linear activations, squared error and no noise, the code would span the subspace of the
    first principal components (Baldi & Hornik 1989, fact 4). In this kind, hidden layers have the
    activation SiLU, and training adds slight noise to the inputs. The noise improved detection more
    than any other change (docs/decisions.md, "Tabular detection").

    Raises:
        TrainingError: the code would be as wide as the input.
    """
    shape = choose_shape(training_set.features.shape[1], settings, width=training_set.width)
    return train_hourglass(training_set, shape, settings, CHOICES, seed, progress)


KIND = Kind(summary="a symmetric hourglass with a narrow code", learn=learn)
