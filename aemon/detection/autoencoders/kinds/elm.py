"""Extreme learning machine: a random encoder, and a decoder computed by linear regression."""

import numpy as np

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.arrays import Values
from aemon.detection.autoencoders.autoencoder import Autoencoder, sigmoid
from aemon.detection.autoencoders.closed_form import as_layer, learn_members
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape
from aemon.detection.autoencoders.training_set import TrainingSet
from aemon.detection.features.outputs import Outputs

TINY = 1e-9


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Draw a random orthogonal layer of sigmoids as the encoder, and compute the decoder.

    The encoder is not trained: H = sigmoid(X A + b) with A'A = I and |b| = 1, drawn at random
    (Kasun et al. 2013). The decoder is the ridge regression of the features on H:
    (H'H/n + ridge I) W = H'X/n, with H and X centred (Huang, Zhu & Siew 2006; Hoerl & Kennard
    1970, equation 2.1). So one pass over the records is enough. Booleans and categories are
    treated as numbers. `learn_members` fills missing cells.

    Raises:
        TrainingError: the code would be as wide as the input, or hidden layers are configured.
    """
    features = training_set.features.shape[1]
    shape = choose_shape(features, settings, width=training_set.width, hidden=())

    def solve(X: Values, m: int) -> Autoencoder:  # noqa: N803 -- (n, F)
        rng = np.random.default_rng((seed, m))
        into = np.linalg.qr(rng.standard_normal((features, shape.code)))[0]  # A (F, C)
        bias = rng.standard_normal(shape.code)
        bias /= max(float(np.linalg.norm(bias)), TINY)
        code = sigmoid((X @ into + bias).astype(np.float32)).astype(np.float64)  # H (n, C)
        back, away = solve_ridge(code, X, settings.ridge)
        return Autoencoder(
            weights=(as_layer(into), as_layer(back)),
            biases=(as_layer(bias), as_layer(away)),
            activations=("sigmoid", "linear"),
            encoder_layers=1,
            outputs=Outputs.linear(features),
        )

    return learn_members(training_set, solve, progress)


def solve_ridge(code: Values, targets: Values, ridge: float) -> tuple[Values, Values]:
    """Return weights (C, F) and biases (F,) of a ridge regression.

    Args:
        code: (n, C), the numbers to predict from.
        targets: (n, F), the numbers to predict.
        ridge: factor of the penalty on the weights.
    """
    centre, mean = code.mean(axis=0), targets.mean(axis=0)
    centred = code - centre
    square = centred.T @ centred / len(code) + ridge * np.eye(code.shape[1])
    weights = np.linalg.solve(square, centred.T @ (targets - mean) / len(code))
    return weights, mean - centre @ weights


KIND = Kind(
    summary="a random encoder, and a decoder computed directly, without gradient descent",
    learn=learn,
    hidden_layers=False,
    at_once=True,
)
