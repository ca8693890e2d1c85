"""Denoising: an autoencoder that learns to restore clean records from corrupted records."""

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
"""Default width of the hidden layers: a multiple of the number of features, and a lower bound."""

CHOICES = Choices(
    least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, noise=NOISE, masking=MASKING
)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Corrupt each record, and learn to restore the clean record.

    For every record, a level of Gaussian noise and a level of masking are drawn (Vincent et al.
    2008, section 2.3, and 2010, section 3.3). So training covers small and large corruption. An
    autoencoder that removes corruption moves a record towards the region of normal records (2010,
    section 3.2). A copy of the input does not remove corruption. So the code may be as wide as the
    input, and this is the default. docs/decisions.md, "Tabular detection", has the measurements of
    widths and noise.
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
