"""What makes a kind of detector: how its autoencoder learns, and how a record is viewed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet

Progress = Callable[[float], None] | None
Learn = Callable[[TrainingSet, DetectorSettings, int, Progress], Autoencoder]


class Measured(NamedTuple):
    """What is measured of a record, and what for: the words are those of `Kind`."""

    views: tuple[str, ...]
    guards: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of detector, as `detector.kind` names it.

    Attributes:
        summary: one line for `aemon kinds` and the configuration reference.
        learn: (lesson, settings, seed, progress) -> autoencoder, M members, of which each has
            learned from the records outside its own fold. The same arguments give the same
            weights. Raises TrainingError where the settings do not fit the records.
        views: what is measured of a record: one measure, or several that are averaged.
        guards: measures by which a record beyond all normal ones is odd, whatever the views say.
        series: the same two where records follow each other, if others.
        diagonal: whether residuals are held to be independent of each other.
        at_once: whether it is the solution of an equation, to which noise and steps mean nothing.
        regularised: whether something but a narrow code keeps it from copying its input.
        hidden_layers: whether it may have layers between features and code.
    """

    summary: str
    learn: Learn
    views: tuple[str, ...] = ("residual",)
    guards: tuple[str, ...] = ("neighbour",)
    series: Measured | None = None
    diagonal: bool = False
    at_once: bool = False
    regularised: bool = False
    hidden_layers: bool = True

    def measured(self, training_set: TrainingSet) -> Measured:
        """What is measured of records like these."""
        if self.series is not None and training_set.series:
            return self.series
        return Measured(self.views, self.guards)
