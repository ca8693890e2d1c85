"""The default kind: an undercomplete denoising autoencoder with nearest normal records."""

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.hourglass import train_hourglass
from aemon.detection.autoencoders.kinds.kind import Kind, Measured, Progress
from aemon.detection.autoencoders.kinds.undercomplete import NOISE
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_plan import Choices
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 300
LEARNING_RATE = 0.01

CHOICES = Choices(least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, noise=NOISE)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Train as `undercomplete` does, but longer, because residuals are measured twice.

    The score is the mean of four views of a record. One is the Mahalanobis distance of its
    residual. Two are distances to the nearest normal record: of the features, and in the joint
    space of features and whitened residuals. The last is the distance to the five nearest records,
    divided by their own such distances. Neighbours are the
    strongest single measure for tables, residuals for sensors, and neither is safe alone. The four
    were chosen by planted anomalies and on sensor sets, not on the tables they are reported for.

    In a series, faults break what ties the columns together, and lie along directions in which
    normal records hardly vary. Anomalies of tables often belong to another class, and lie along
    wide directions. So in a series, distances are measured on the scale of `relations`. The columns
    of a table may obey a balance too. So in a table the relations are a guard: a record that breaks
    them more than all normal records is unusual.

    Raises:
        TrainingError: the code would be as wide as the input.
    """
    shape = choose_shape(training_set.features.shape[1], settings, width=training_set.width)
    return train_hourglass(training_set, shape, settings, CHOICES, seed, progress)


KIND = Kind(
    summary="residuals and nearest normal records, averaged: the best default",
    learn=learn,
    views=("residual", "neighbour", "joint", "density"),
    guards=("neighbour", "relation"),
    series=Measured(
        views=("residual", "joint", "relation", "whitened"),
        guards=("relation",),
    ),
)
