"""Training in closed form, in NumPy: an equation gives the weights, without gradient descent."""

from collections.abc import Callable

import numpy as np

from aemon.detection.arrays import Floats, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet

Solve = Callable[[Values, int], Autoencoder]

FILL_ROUNDS = 8
"""Number of rounds. Each round fills missing cells with reconstructions and solves the equation."""


def learn_members(
    training_set: TrainingSet, solve: Solve, progress: Callable[[float], None] | None = None
) -> Autoencoder:
    """Return M autoencoders, each computed in closed form from the records outside its own fold.

    Missing cells start as 0, the mean of their feature. Then two steps are repeated: the equation
    is solved, and missing cells are filled with their reconstruction. Each repetition of least
    squares lowers the error of the observed cells (Kiers 1997, by majorization).

    Args:
        training_set: the training set.
        solve: (X (n, F) without missing cells, m) -> an autoencoder with the m-th member only.
        progress: called with the share of the members that are finished.
    """
    members: list[Autoencoder] = []
    for m, rows in enumerate(training_set.pools):
        X, mask = training_set.features[rows].astype(np.float64), training_set.mask[rows]  # noqa: N806
        member = solve(X, m)
        for _ in range(0 if mask.all() else FILL_ROUNDS):
            X = np.where(mask, X, member(X.astype(np.float32))[0])  # noqa: N806
            member = solve(X, m)
        members.append(member)
        if progress is not None:
            progress((m + 1) / training_set.members)
    return stack(members)


def stack(members: list[Autoencoder]) -> Autoencoder:
    """Return one autoencoder that has all these autoencoders of the same shape as members."""
    first = members[0]
    layers = range(len(first.weights))
    return Autoencoder(
        weights=tuple(np.concatenate([each.weights[i] for each in members]) for i in layers),
        biases=tuple(np.concatenate([each.biases[i] for each in members]) for i in layers),
        activations=first.activations,
        encoder_layers=first.encoder_layers,
        outputs=first.outputs,
    )


def as_layer(matrix: Values) -> Floats:
    """Return a matrix as weights (1, in, out), or a vector as biases (1, 1, out), of one layer.

    The layer belongs to an autoencoder with a single member.
    """
    layer: Floats = np.atleast_2d(matrix)[None].astype(np.float32)
    return layer
