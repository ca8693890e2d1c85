"""Training of a symmetric autoencoder (hourglass), for all kinds with configured activations."""

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.kinds.kind import Progress
from aemon.detection.autoencoders.sizing import Shape
from aemon.detection.autoencoders.training_plan import Choices, make_plan
from aemon.detection.autoencoders.training_set import TrainingSet


def train_hourglass(
    training_set: TrainingSet,
    shape: Shape,
    settings: DetectorSettings,
    chosen: Choices,
    seed: int,
    progress: Progress,
) -> Autoencoder:
    """Train a symmetric autoencoder by gradient descent.

    Hidden layers have the configured activation. The layers of the code and of the output are
    linear.
    """
    from aemon.detection.autoencoders.training import train_autoencoder

    plan = make_plan(shape, len(training_set), settings, chosen)
    return train_autoencoder(training_set, plan, seed=seed, progress=progress)
