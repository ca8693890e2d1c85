"""Principal components: the linear autoencoder, computed by a singular value decomposition."""

import numpy as np

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.arrays import Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.closed_form import as_layer, learn_members
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_set import TrainingSet
from aemon.detection.features.outputs import Outputs

EXPLAINED = 0.9
"""Share of the variance that the components of a default code explain together. Further components
may be the noise of single columns. In the code, such a component would copy the value of a missing
cell, instead of estimating the value from other columns."""


def learn(
    training_set: TrainingSet,
    settings: DetectorSettings,
    seed: int,  # noqa: ARG001 -- nothing is drawn
    progress: Progress,
) -> Autoencoder:
    """Project the features on their first principal components, and back.

    Of all linear autoencoders, this autoencoder has the least squared error (Eckart & Young 1936;
    Baldi & Hornik 1989, fact 4). The error is weighted: before the singular value decomposition,
    each feature is multiplied by the root of its weight, and afterwards divided by this root
    (Jolliffe 2002, section 14.2.1). Constants and context features have weight 0, so the
    decomposition ignores them. Booleans and categories are treated as numbers. The default code is
    as wide as the code of `undercomplete`, or narrower if fewer components explain nine tenths of
    the variance (Jolliffe 2002, section 6.1.1). `learn_members` fills missing cells.

    Raises:
        TrainingError: the code would be as wide as the input, or hidden layers are configured.
    """
    features = training_set.features.shape[1]
    shape = choose_shape(features, settings, width=training_set.width, hidden=())
    code = min(shape.code, training_set.pools.shape[1])
    if settings.code_size is None:
        code = min(code, _explaining(training_set))
    roots = np.sqrt(training_set.weights.astype(np.float64))
    inverse = np.divide(1, roots, out=np.zeros_like(roots), where=roots > 0)

    def solve(X: Values, _: int) -> Autoencoder:  # noqa: N803 -- (n, F)
        centre = X.mean(axis=0)
        directions = np.linalg.svd((X - centre) * roots, full_matrices=False)[2][:code].T  # (F, C)
        into, back = roots[:, None] * directions, directions.T * inverse
        return Autoencoder(
            weights=(as_layer(into), as_layer(back)),
            biases=(as_layer(-centre @ into), as_layer(centre)),
            activations=("linear", "linear"),
            encoder_layers=1,
            outputs=Outputs.linear(features),
        )

    return learn_members(training_set, solve, progress)


def _explaining(training_set: TrainingSet) -> int:
    """Return the least number of components that explain the share `EXPLAINED` of the variance."""
    scaled = training_set.features * np.sqrt(training_set.weights)
    variances = np.linalg.svd(scaled - scaled.mean(axis=0), compute_uv=False) ** 2
    return int((variances.cumsum() < EXPLAINED * variances.sum()).sum()) + 1


KIND = Kind(
    summary="principal components, computed directly, without gradient descent",
    learn=learn,
    hidden_layers=False,
    at_once=True,
)
