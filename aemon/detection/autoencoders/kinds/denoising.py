"""Corrupted records in, clean records out."""

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.hourglass import train_hourglass
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape, widened
from aemon.detection.autoencoders.training_plan import Choices
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 300
LEARNING_RATE = 0.01
NOISE = 1.0
MASKING = 0.2

WIDTH_FACTOR, LEAST_WIDTH = 4, 64
"""Default width of the hidden layers: so many times the features, and at least so wide."""

CHOICES = Choices(
    least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, noise=NOISE, masking=MASKING
)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Corrupt each record, and learn to get the clean one back.

    Gaussian noise and masking, each at a level drawn for every record (Vincent et al. 2008,
    section 2.3, and 2010, section 3.3), so that small and large corruption are both known. To
    undo it is to point from a record to where normal ones lie (2010, section 3.2), and a copy
    of the input will not do: the code may be as wide as the input, and is by default. The
    widths and the noise are those measured in docs/decisions.md, "Tabular detection".
    """
    features = training_set.features.shape[1]
    shape = choose_shape(
        features,
        settings,
        width=training_set.width,
        hidden=(max(widened(features, WIDTH_FACTOR), LEAST_WIDTH),),
        code=features,
        regularised=True,
    )
    return train_hourglass(training_set, shape, settings, CHOICES, seed, progress)


KIND = Kind(
    summary="noisy and masked records in, clean records out",
    learn=learn,
    regularised=True,
)
