"""The autoencoder: an undercomplete hourglass, several members at once, in NumPy."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt

from aemon.config.schema import DetectorSettings
from aemon.errors import TrainingError

Floats = npt.NDArray[np.float32]

CODE_SHARE = 0.75
"""Default width of the code, as a share of the independent features (QUALITY.md part A)."""

HIDDEN_FACTOR = 3
"""Default width of the hidden layers, as a multiple of the features (QUALITY.md part A)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Widths of the layers: features -> hidden -> code -> hidden -> features."""

    features: int
    hidden: int
    code: int

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """(width in, width out) of the four layers."""
        widths = (self.features, self.hidden, self.code, self.hidden, self.features)
        return tuple(pairwise(widths))


def choose_shape(features: int, settings: DetectorSettings, *, width: int | None = None) -> Shape:
    """The widths for F features, of which `width` vary independently and are judged.

    One feature alone has a code of width 0: its reconstruction is a constant, and its error
    the distance from the middle.

    Raises:
        TrainingError: the code would be as wide as the input, so nothing need be learned.
    """
    width = features if width is None else width
    hidden = settings.hidden_size or HIDDEN_FACTOR * features
    if width == 1 and settings.code_size is None:
        return Shape(features=features, hidden=hidden, code=0)
    code = settings.code_size or min(ceil(CODE_SHARE * width), width - 1)
    if code >= width:
        raise TrainingError(
            f"detector.code_size is {code}, but the records have only {width} independent "
            "features that vary: a code as wide as its input could copy anything",
            todo=f"set detector.code_size to at most {width - 1}, or leave it out"
            if width > 1
            else "leave detector.code_size out: a single feature needs no code",
        )
    return Shape(features=features, hidden=hidden, code=code)


@dataclass(frozen=True, kw_only=True, eq=False)
class Autoencoder:
    """M autoencoders of one shape, trained side by side; SiLU inside, code and output linear.

    Attributes:
        weights: four layers (M, in, out), float32.
        biases: four layers (M, 1, out), float32.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @property
    def members(self) -> int:
        """How many autoencoders there are, M."""
        return int(self.weights[0].shape[0])

    @property
    def code_size(self) -> int:
        """Width of the code, C."""
        return int(self.weights[1].shape[2])

    def __call__(self, X: Floats) -> tuple[Floats, Floats]:  # noqa: N803 -- X (N, F), as in the literature
        """Reconstruction (M, N, F) and code (M, N, C) of features X, (N, F) or (M, N, F)."""
        w, b = self.weights, self.biases
        inner: Floats = X @ w[0] + b[0]  # (M, N, F) x (M, F, H) -> (M, N, H)
        code: Floats = silu(inner) @ w[1] + b[1]  # -> (M, N, C)
        outer: Floats = code @ w[2] + b[2]  # -> (M, N, H)
        reconstruction: Floats = silu(outer) @ w[3] + b[3]  # -> (M, N, F)
        return reconstruction, code


def silu(x: Floats) -> Floats:
    """SiLU, x * sigmoid(x) (Elfwing et al. 2018), in the form that cannot overflow."""
    gate: Floats = np.tanh(np.float32(0.5) * x)
    gate += 1
    gate *= 0.5
    gate *= x
    return gate
