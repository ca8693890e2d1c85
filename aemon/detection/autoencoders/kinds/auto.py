"""The default kind: an undercomplete denoising autoencoder, and distances to normal records."""

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
    """Train like `undercomplete`, but with more steps, because two views depend on residuals.

    The score is the mean of four views of a record:

    - the Mahalanobis distance of the record's residual;
    - the distance to the nearest normal record, in the space of the features;
    - the distance to the nearest normal record, in the joint space of features and whitened
      residuals;
    - the distance to the five nearest normal records, divided by the distances of these records to
      their own five nearest records.

    As a single measure, distances to neighbours detect most in tables, and residuals detect most in
    sensor data. Neither measure is reliable alone. The four views were chosen with planted
    anomalies and sensor data sets, not with the tables for which results are reported.

    In a series, a fault breaks relations between columns: the record moves in a direction in which
    normal records hardly vary. In a table, an anomaly often belongs to a different class: the
    record moves in a direction in which normal records vary much. So in a series, distances are
    measured on the scale of `relations`. The columns of a table may obey a balance, which is an
    equation between columns. So the relations of a table are a guard: a record is unusual if it
    breaks the relations more than all normal records.

    Raises:
        TrainingError: the code would be as wide as the input.
    """
    shape = choose_shape(training_set.features.shape[1], settings, width=training_set.width)
    return train_hourglass(training_set, shape, settings, CHOICES, seed, progress)


KIND = Kind(
    summary="the mean of residuals and distances to normal records: the best default",
    learn=learn,
    views=("residual", "neighbour", "joint", "density"),
    guards=("neighbour", "relation"),
    series=Measured(
        views=("residual", "joint", "relation", "whitened"),
        guards=("relation",),
    ),
)
