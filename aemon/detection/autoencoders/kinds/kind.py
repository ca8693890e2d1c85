"""The parts of a kind of detector: how its autoencoder is trained, how records are measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet

Progress = Callable[[float], None] | None
Learn = Callable[[TrainingSet, DetectorSettings, int, Progress], Autoencoder]


class Measured(NamedTuple):
    """Views and guards by which records are measured, as `Kind` describes them."""

    views: tuple[str, ...]
    guards: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of detector, as named by `detector.kind`.

    Attributes:
        summary: one line for `aemon kinds` and the configuration reference.
        learn: (training set, settings, seed, progress) -> autoencoder with M members, each trained
            on the records outside its own fold. The same arguments give the same weights. Raises
            TrainingError if the settings do not fit the records.
        views: names of the measures of a record; several are averaged.
        guards: names of measures for guards: beyond all normal records a record is unusual,
            whatever the views show.
        series: views and guards for records that follow each other, if different.
        diagonal: whether residuals are taken as independent of each other.
        at_once: whether the weights solve an equation, so noise and steps have no meaning.
        regularised: whether something besides a narrow code prevents a copy of the input.
        hidden_layers: whether layers between features and code are possible.
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
        """Return the views and guards for these records."""
        if self.series is not None and training_set.series:
            return self.series
        return Measured(self.views, self.guards)
