"""A code that is a distribution: records that take many nats to tell are odd."""

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
"""Weight of the code's divergence beside the error: the description length as it is."""

CHOICES = Choices(least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, divergence=DIVERGENCE)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Tell each record in as few nats as possible: of the code, and of what it leaves over.

    The sum of both is the description length of a record (Hinton & Zemel 1994), less a constant
    the variational bound (Kingma & Welling 2014, equations 3 and 10). What is left over is
    normal, its variance the error itself: that is the likeliest, and nothing is to be tuned
    (Rybkin, Daniilidis & Levine 2021, the optimal sigma-VAE).

    A record is scored by what is left over alone: minus its log-likelihood, normal and of the
    spreads that held-out residuals have, averaged over draws of its code, but for constants.
    That is the reconstruction probability of An & Cho 2015, algorithm 4. The code's own noise
    regularises, so it may be as wide as the input; inputs have none unless it is configured.
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
