"""Sparse: the code is wider than the input, but only few of its units are active at a time."""

from dataclasses import replace

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape, widened
from aemon.detection.autoencoders.training_plan import Choices, Sparsity, make_plan
from aemon.detection.autoencoders.training_set import TrainingSet

LEAST_STEPS = 1_000
LEARNING_RATE = 0.03

CODE_FACTOR = 2
"""Default width of the code, as a multiple of the number of features."""

WEIGHTS = {"kl": 3.0, "l1": 1.0}
"""Norm -> weight of the penalty, which is added to the error."""

CHOICES = Choices(
    activations=("sigmoid", "linear"), least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE
)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Learn to reconstruct each record from a wide code of which few units are active.

    The loss is the error plus the penalty that `Sparsity` describes. With norm `kl`, a KL
    divergence pulls each unit's mean activation towards a low rate (Ng 2011, CS294A lecture notes,
    section 3). With norm `l1`, the absolute activations are kept small. So the code may be wider
    than the input, and the autoencoder still does not copy every input. Sparsity is enough to
    regularise; noise is added only if it is configured.

    Raises:
        TrainingError: hidden layers are configured.
    """
    from aemon.detection.autoencoders.training import train_autoencoder

    features = training_set.features.shape[1]
    shape = choose_shape(
        features,
        settings,
        width=training_set.width,
        hidden=(),
        code=widened(features, CODE_FACTOR),
        regularised=True,
    )
    plan = make_plan(shape, len(training_set), settings, CHOICES)
    norm, weight = settings.sparsity, settings.sparsity_weight
    sparsity = Sparsity(norm=norm, target=settings.sparsity_target, weight=weight or WEIGHTS[norm])
    return train_autoencoder(
        training_set, replace(plan, sparsity=sparsity), seed=seed, progress=progress
    )


KIND = Kind(
    summary="a wide code of which few units are active at a time",
    learn=learn,
    hidden_layers=False,
    regularised=True,
)
