"""Training a symmetric hourglass: what the kinds that bend alike have in common."""

from dataclasses import replace

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.kinds.kind import Progress
from aemon.detection.autoencoders.sizing import Shape
from aemon.detection.autoencoders.training_plan import make_plan
from aemon.detection.autoencoders.training_set import TrainingSet


def train_hourglass(
    training_set: TrainingSet,
    shape: Shape,
    settings: DetectorSettings,
    seed: int,
    progress: Progress,
    *,
    least_steps: int,
    learning_rate: float,
    noise: float = 0.0,
    masking: float = 0.0,
    divergence: float | None = None,
) -> Autoencoder:
    """Hidden layers bend as configured, code and output do not; keywords as in `Plan`."""
    from aemon.detection.autoencoders.training import train_autoencoder

    plan = make_plan(
        shape,
        len(training_set),
        settings,
        least_steps=least_steps,
        learning_rate=learning_rate,
        noise=noise,
        masking=masking,
    )
    plan = replace(plan, divergence=divergence)
    return train_autoencoder(training_set, plan, seed=seed, progress=progress)
