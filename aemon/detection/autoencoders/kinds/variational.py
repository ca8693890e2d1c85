"""Variational: the code is a distribution, and training minimises the nats that describe a record.

A nat is a unit of information, 1 / ln 2 bits.
"""

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
"""Weight of the code's divergence, which is added to the error; with 1 the sum is the description
length."""

CHOICES = Choices(least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, divergence=DIVERGENCE)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Train to minimise the number of nats that describe a record by its code and its residual.

    The nats of code and residual together are the description length of the record (Hinton & Zemel
    1994). The description length differs by a constant from the variational bound (Kingma & Welling
    2014, equations 3 and 10). The residual has a normal distribution with the error as its
    variance. This variance has the highest likelihood, so there is no variance to configure
    (Rybkin, Daniilidis & Levine 2021, the optimal sigma-VAE).

    The score of a record depends on the residual alone. Up to constants, the score is minus the
    log-likelihood of the residual, averaged over drawn codes. The likelihood is normal, with the
    spreads of held-out residuals. This is the reconstruction probability of An & Cho 2015,
    algorithm 4. The noise of the code regularises, so the code may be as wide as the input. Noise
    is added to the inputs only if it is configured.
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
