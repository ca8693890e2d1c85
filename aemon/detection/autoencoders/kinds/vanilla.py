"""The textbook autoencoder: one hidden layer, tied weights, gradient descent with momentum."""

from dataclasses import replace

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_plan import Choices, make_plan
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 2_000
"""Least number of training steps: gradient descent needs many steps, but each step is quick."""

LEARNING_RATE = 0.3

CHOICES = Choices(
    activations=("sigmoid", "linear"), least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE
)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Learn to reconstruct the features from the outputs of one layer of sigmoids.

    The code is sigmoid(x W + b), and the reconstruction is code W' + c: both use the matrix W
    (Vincent et al. 2010, section 2.2). The loss is the squared error (for booleans and categories,
    the cross-entropy). Back-propagation with momentum at a constant rate minimises the loss
    (Rumelhart, Hinton & Williams 1986, equation 9). Noise is added only if it is configured.

    Raises:
        TrainingError: the code would be as wide as the input, or hidden layers are configured.
    """
    from aemon.detection.autoencoders.training import train_autoencoder

    shape = choose_shape(
        training_set.features.shape[1], settings, width=training_set.width, hidden=()
    )
    plan = make_plan(shape, len(training_set), settings, CHOICES)
    plan = replace(plan, optimizer="momentum", tied=True)
    return train_autoencoder(training_set, plan, seed=seed, progress=progress)


KIND = Kind(
    summary="one sigmoid layer, tied weights, gradient descent with momentum",
    learn=learn,
    hidden_layers=False,
)
