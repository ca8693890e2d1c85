"""Choice of an autoencoder's width, depth and training steps.

The choice depends on the number of features and the number of records.

Configured values take precedence.
"""

from dataclasses import dataclass
from math import ceil

from aemon.config.detector_settings import DetectorSettings
from aemon.errors import TrainingError

CODE_SHARE = 0.75
"""Default width of the code, as a share of the independent features
(docs/decisions.md, "Tabular detection")."""

HIDDEN_FACTOR = 3
"""Default width of the hidden layers, as a multiple of the number of features
(docs/decisions.md, "Tabular detection")."""

MOST_HIDDEN, LEAST_HIDDEN = 512, 128
"""Largest default width of a hidden layer, and the least width to which `MOST_WEIGHTS` reduces a
hidden layer. Wider layers take longer to train, with little gain."""

MOST_WEIGHTS = 512 * 512
"""Largest number of weights between the features and the first hidden layer. With 1,500 columns,
the layer has 175 units. (With as many units as features, training on 800 records took 190 s instead
of 39 s on the same busy core.)"""

PASSES = 3
"""Least number of times that training reads each record, if no steps are configured."""

MOST_STEPS = 3_000
"""Largest number of training steps, if no number is configured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Widths of the layers of a symmetric autoencoder, from the features to the code."""

    features: int
    hidden: tuple[int, ...]
    code: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all layers in order, from the input features to the output features."""
        return (self.features, *self.hidden, self.code, *reversed(self.hidden), self.features)

    @property
    def encoder_layers(self) -> int:
        """Number of layers of the encoder."""
        return len(self.hidden) + 1


def choose_shape(
    features: int,
    settings: DetectorSettings,
    *,
    width: int | None = None,
    hidden: tuple[int, ...] | None = None,
    code: int | None = None,
    regularised: bool = False,
) -> Shape:
    """Choose the widths of the layers for F features.

    For a single feature, the code has width 0. The reconstruction is then a constant, and the
    residual is the distance from this constant.

    Args:
        features: number of features, F.
        settings: configured sizes, which take precedence over chosen sizes.
        width: number of features that vary independently and are judged; by default F.
        hidden: hidden layers that the kind prefers, outermost first; () for no hidden layers.
        code: width of the code that the kind prefers.
        regularised: whether the training prevents a copy of the input even if the code is wide.

    Raises:
        TrainingError: the code would be as wide as the input, so nothing would be learned; or
            hidden layers are configured for a kind without hidden layers.
    """
    width = features if width is None else width
    if hidden == () and settings.hidden_sizes:
        raise TrainingError(
            f"detector.hidden_sizes is given, but a detector of kind {settings.kind} has no layers "
            "between features and code",
            todo="leave detector.hidden_sizes out, or choose another detector.kind",
        )
    narrowest = width
    if hidden is None:
        hidden = (widened(features, HIDDEN_FACTOR),)
        narrowest = min(width, *hidden)
    if settings.hidden_sizes is not None:
        hidden = settings.hidden_sizes
    if code is None:
        code = min(ceil(CODE_SHARE * narrowest), width - 1)
    if settings.code_size is not None:
        code = settings.code_size
    if code >= width and not regularised and not (width == 1 and code == 0):
        raise TrainingError(
            f"detector.code_size is {code}, but the records have only {width} independent "
            "features that vary: a code as wide as its input could copy anything",
            todo=f"set detector.code_size to at most {width - 1}, or leave it out, or choose a "
            "regularised detector.kind: sparse, denoising, stacked_denoising or variational"
            if width > 1
            else "leave detector.code_size out: a single feature needs no code",
        )
    return Shape(features=features, hidden=hidden, code=code)


def widened(features: int, factor: int) -> int:
    """Return a layer's width: `factor` times F features, bounded to limit the training time."""
    most = max(min(MOST_HIDDEN, MOST_WEIGHTS // max(features, 1)), LEAST_HIDDEN)
    return min(factor * features, most)


def choose_steps(records: int, settings: DetectorSettings, least: int) -> int:
    """Return the number of training steps for N records.

    If no number is configured, there are at least `least` steps, and at least enough steps to read
    each record `PASSES` times, but at most `MOST_STEPS`.
    """
    if settings.steps is not None:
        return settings.steps
    passes = ceil(PASSES * records / settings.batch_records)
    return min(max(least, passes), MOST_STEPS)
