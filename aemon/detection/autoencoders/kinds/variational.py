"""Variational: the code is a distribution; records with a long description are unusual."""

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.hourglass import train_hourglass
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_plan import Choices
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 300
LEARNING_RATE = 0.01

DIVERGENCE = 1.0
"""Weight of the code's divergence beside the error: 1 is the description length unchanged."""

CHOICES = Choices(least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, divergence=DIVERGENCE)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Minimise the nats that describe each record: of the code, and of the residual.

    The sum of both is the description length of a record (Hinton & Zemel 1994), which differs by a
    constant from the variational bound (Kingma & Welling 2014, equations 3 and 10). The residual
    is normal, and its variance is the error itself: that is the likeliest, and leaves nothing to
    tune (Rybkin, Daniilidis & Levine 2021, the optimal sigma-VAE).

    A record's score uses the residual alone: up to constants, minus its log-likelihood, averaged
    over draws of the code. The likelihood is normal, with the spreads of held-out residuals. That
    is the reconstruction probability of An & Cho 2015, algorithm 4. The code's own noise
    regularises, so the code may be as wide as the input; inputs have noise only if configured.
    """
    shape = choose_shape(
        training_set.features.shape[1], settings, width=training_set.width, regularised=True
    )
    return train_hourglass(training_set, shape, settings, CHOICES, seed, progress)


KIND = Kind(
    summary="a code of distributions; the score is a reconstruction probability",
    learn=learn,
    regularised=True,
    diagonal=True,
)
