"""What makes a kind of detector: how its autoencoder learns, and how a record is viewed."""

from collections.abc import Callable
from dataclasses import dataclass

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet

Progress = Callable[[float], None] | None
Learn = Callable[[TrainingSet, DetectorSettings, int, Progress], Autoencoder]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of detector, as `detector.kind` names it.

    Attributes:
        summary: one line for `aemon kinds` and the configuration reference.
        learn: (lesson, settings, seed, progress) -> autoencoder, M members, of which each has
            learned from the records outside its own fold. The same arguments give the same
            weights. Raises TrainingError where the settings do not fit the records.
        views: what is measured of a record: one measure, or several that are averaged.
        diagonal: whether residuals are held to be independent of each other.
        at_once: whether it is the solution of an equation, to which noise and steps mean nothing.
        regularised: whether something but a narrow code keeps it from copying its input.
        hidden_layers: whether it may have layers between features and code.
    """

    summary: str
    learn: Learn
    views: tuple[str, ...] = ("residual",)
    diagonal: bool = False
    at_once: bool = False
    regularised: bool = False
    hidden_layers: bool = True
