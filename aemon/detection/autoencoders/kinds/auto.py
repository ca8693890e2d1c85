"""The best default: an undercomplete denoising autoencoder and nearest normal records, together."""

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
    """As `undercomplete`, trained longer: its residuals are measured twice.

    Four views of a record are averaged: the Mahalanobis distance of its residual; the distance
    to the nearest normal record; the same in the joint space of features and whitened residuals;
    and the distance to the nearest five over theirs to theirs. Neighbours are the strongest
    single measure for tables, residuals for sensors, and neither is safe alone; the four were
    chosen by planted anomalies and on sensor sets, not on the tables they are reported for.

    In a series, faults break what ties the columns together, and lie along the directions in
    which normal records hardly vary; anomalies of tables are often of another class, and lie along
    the wide ones. So there the distances are taken on the scale of the relations (`relations`).
    In a table, whose columns may obey a balance too, the relations guard: a record that breaks
    them as no normal one does is odd.

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
