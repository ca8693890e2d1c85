"""Sizing: width, depth and training steps of an autoencoder, chosen from the records."""

from dataclasses import dataclass
from math import ceil

from aemon.config.detector_settings import DetectorSettings
from aemon.errors import TrainingError

CODE_SHARE = 0.75
"""Default width of the code, as a share of the independent features
(docs/decisions.md, "Tabular detection")."""

HIDDEN_FACTOR = 3
"""Default width of the hidden layers, as a multiple of the features
(docs/decisions.md, "Tabular detection")."""

MOST_HIDDEN, LEAST_HIDDEN = 512, 128
"""Widest hidden layer that is chosen, and the least width that narrowing leaves. Wider layers take
longer to train than they gain."""

MOST_WEIGHTS = 512 * 512
"""Most weights between the features and the first hidden layer: with 1,500 columns, the layer has
175 units. (With as many units as features, training on 800 records took 190 s instead of 39, on the
same busy core.)"""

PASSES = 3
"""Least number of times that training reads each record, if no steps are configured."""

MOST_STEPS = 3_000
"""Most steps that are chosen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Widths of the layers of a symmetric hourglass: features, hidden layers, code, and back."""

    features: int
    hidden: tuple[int, ...]
    code: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from features to features."""
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
    """Choose the widths for F features, of which `width` vary independently and are judged.

    A single feature has a code of width 0: its reconstruction is a constant, and its error is the
    distance from the middle.

    Args:
        features: number of features, F.
        settings: configured sizes take precedence over chosen sizes.
        width: number of independent features; by default F.
        hidden: the kind's own choice of hidden layers, outermost first; () for no hidden layers.
        code: the kind's own choice of code.
        regularised: whether something besides the code's width prevents a copy of the input.

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
    """Return `factor` times F features as a layer's width, bounded by the time of training."""
    most = max(min(MOST_HIDDEN, MOST_WEIGHTS // max(features, 1)), LEAST_HIDDEN)
    return min(factor * features, most)


def choose_steps(records: int, settings: DetectorSettings, least: int) -> int:
    """Return the training steps for N records: at least the kind's, and `PASSES` over records."""
    if settings.steps is not None:
        return settings.steps
    passes = ceil(PASSES * records / settings.batch_records)
    return min(max(least, passes), MOST_STEPS)
