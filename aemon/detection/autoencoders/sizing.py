"""How wide, deep and long: an autoencoder's size and training, chosen from the records."""

from dataclasses import dataclass
from math import ceil

from aemon.config.detector_settings import DetectorSettings
from aemon.errors import TrainingError

CODE_SHARE = 0.75
"""Default width of the code, as a share of the independent features (docs/decisions.md, "Tabular detection")."""

HIDDEN_FACTOR = 3
"""Default width of the hidden layers, as a multiple of the features (docs/decisions.md, "Tabular detection")."""

MOST_HIDDEN, LEAST_HIDDEN = 512, 128
"""Widest hidden layer chosen, and the narrowest of those narrowed: wider ones take longer to train
than they gain."""

MOST_WEIGHTS = 512 * 512
"""Between the features and the first hidden layer: of 1,500 columns, 175 units are hidden. (As wide
as the features, they took 190 s to train on 800 records instead of 39, on the same busy core.)"""

PASSES = 3
"""How often training sees each record at least, where no steps are configured."""

MOST_STEPS = 3_000
"""Steps chosen at most."""


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
        """How many layers the encoder has."""
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
    """The widths for F features, of which `width` vary independently and are judged.

    One feature alone has a code of width 0: its reconstruction is a constant, and its error
    the distance from the middle.

    Args:
        features: how many there are, F.
        settings: what is configured goes before what is chosen.
        width: how many of them are independent; F if not given.
        hidden: the kind's own choice of hidden layers, outermost first; () where it has none.
        code: the kind's own choice of code.
        regularised: whether something but the code's width keeps it from copying its input.

    Raises:
        TrainingError: the code would be as wide as the input, so nothing need be learned; or
            hidden layers are configured for a kind that has none.
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
    """A layer `factor` times as wide as F features, within what training has time for."""
    most = max(min(MOST_HIDDEN, MOST_WEIGHTS // max(features, 1)), LEAST_HIDDEN)
    return min(factor * features, most)


def choose_steps(records: int, settings: DetectorSettings, least: int) -> int:
    """Training steps for N records: the kind's least, or more where that is under `PASSES`."""
    if settings.steps is not None:
        return settings.steps
    passes = ceil(PASSES * records / settings.batch_records)
    return min(max(least, passes), MOST_STEPS)
