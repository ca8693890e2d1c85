"""The class `Kind`: how a kind of detector trains its autoencoder and measures records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet

Progress = Callable[[float], None] | None
Learn = Callable[[TrainingSet, DetectorSettings, int, Progress], Autoencoder]


class Measured(NamedTuple):
    """The names of the views and guards that measure records; `Kind` describes them."""

    views: tuple[str, ...]
    guards: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of detector; the setting `detector.kind` names it.

    Attributes:
        summary: description in one line, for `aemon kinds` and the configuration reference.
        learn: (training set, settings, seed, progress) -> autoencoder with M members, each trained
            on the records outside its own fold. The same arguments give the same weights. Raises
            TrainingError if the settings do not fit the records.
        views: names of the measures that make the score; several measures are averaged.
        guards: names of the measures that guards use. A guard flags a record whose measure is
            higher than the measures of all normal records, even if no view shows this record.
        series: views and guards for records that are a series, if they differ from `views` and
            `guards`.
        diagonal: whether the residuals of different features are treated as independent.
        at_once: whether the weights are the solution of an equation; then noise and steps have no
            meaning.
        regularised: whether the training prevents a copy of the input even if the code is wide.
        hidden_layers: whether there can be layers between the features and the code.
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
        """Return the views and guards for training records, which are a series or a table."""
        if self.series is not None and training_set.series:
            return self.series
        return Measured(self.views, self.guards)
