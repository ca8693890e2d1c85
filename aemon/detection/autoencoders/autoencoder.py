"""The autoencoder that every kind of detector trains: the layers of all members, in NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aemon.detection.arrays import Floats
from aemon.detection.features.outputs import Outputs

Activation = Literal["linear", "silu", "tanh", "sigmoid"]

DRAWS = 8
"""Number of codes drawn for each record if the code is a distribution. The random numbers are the
same for every record, so a score depends neither on the time of judging nor on other records."""

MOST_LOG_VARIANCE = 10.0
"""Bound of the absolute log variance of a code, in judging and in training."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Autoencoder:
    """M autoencoders of the same shape, trained together.

    Each autoencoder has L layers: first the layers of the encoder, then the layers of the decoder.

    Attributes:
        weights: L layers (M, in, out), float32.
        biases: L layers (M, 1, out), float32.
        activations: activation functions of the L layers.
        encoder_layers: number of layers of the encoder. The output of the encoder's last layer is
            the code.
        outputs: conversion of the last layer's numbers to features.
        spread: weights (M, in, C) and biases (M, 1, C) of an additional layer, which computes the
            log variance of a variational code. The encoder's last layer then computes the mean of
            the code. None if the code is not a distribution.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    activations: tuple[Activation, ...]
    encoder_layers: int
    outputs: Outputs
    spread: tuple[Floats, Floats] | None = None

    @property
    def members(self) -> int:
        """Number of autoencoders, M."""
        return int(self.weights[0].shape[0])

    @property
    def code_size(self) -> int:
        """Width of the code, C."""
        return int(self.weights[self.encoder_layers - 1].shape[2])

    def member(self, m: int) -> "Autoencoder":
        """Return an autoencoder that has the m-th member only."""
        return Autoencoder(
            weights=tuple(w[m : m + 1] for w in self.weights),
            biases=tuple(b[m : m + 1] for b in self.biases),
            activations=self.activations,
            encoder_layers=self.encoder_layers,
            outputs=self.outputs,
            spread=self.spread and (self.spread[0][m : m + 1], self.spread[1][m : m + 1]),
        )

    def encode(self, X: Floats) -> Floats:  # noqa: N803 -- X (N, F), as in the literature
        """Return the code (M, N, C) of features X, which are (N, F) or (M, N, F).

        If the code is a distribution, its mean is returned.
        """
        return self._through(X, 0, self.encoder_layers)

    def deviations(self, X: Floats) -> Floats:  # noqa: N803
        """Return the standard deviations (M, N, C) of a variational code; 0 for any other code."""
        inner = self._through(X, 0, self.encoder_layers - 1)
        if self.spread is None:
            return np.zeros((self.members, X.shape[-2], self.code_size), dtype=np.float32)
        weight, bias = self.spread
        log_variances = np.clip(inner @ weight + bias, -MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)
        deviations: Floats = np.exp(log_variances / 2)
        return deviations

    def decode(self, code: Floats) -> Floats:
        """Return the reconstruction (M, N, F) of a code (M, N, C)."""
        return self.outputs(self._through(code, self.encoder_layers, len(self.weights)))

    def __call__(self, X: Floats) -> Floats:  # noqa: N803
        """Return reconstructions (D, N, F) of features X, which are (N, F) or (M, N, F).

        D is M for a code without a distribution. If the code is a distribution, D is M times
        `DRAWS`, because every drawn code is decoded.
        """
        code = self.encode(X)
        if self.spread is None:
            return self.decode(code)
        deviations = self.deviations(X)
        draws = np.random.default_rng(DRAWS).standard_normal((DRAWS, self.code_size), np.float32)
        return np.concatenate([self.decode(code + draw * deviations) for draw in draws])

    def _through(self, values: Floats, first: int, last: int) -> Floats:
        for layer in range(first, last):
            # (M, N, in) x (M, in, out) -> (M, N, out)
            values = values @ self.weights[layer]
            values += self.biases[layer]
            values = ACTIVATIONS[self.activations[layer]](values)
        return values


def silu(x: Floats) -> Floats:
    """Return SiLU, x * sigmoid(x) (Elfwing et al. 2018), by a formula that cannot overflow."""
    gate = sigmoid(x)
    gate *= x
    return gate


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)), by a formula that cannot overflow."""
    gate: Floats = np.tanh(np.float32(0.5) * x)
    gate += 1
    gate *= 0.5
    return gate


ACTIVATIONS: dict[Activation, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "silu": silu,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
}
