"""Several views of one record, brought to one scale and averaged."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Values

TAIL_SHARE = 0.1
"""Share of the held-out normal records above a view's start."""

LEAST_SCALE = 1e-3
"""Of a view's tail, in logarithms: a narrower one is rounding."""

FARTHEST = 300.0
"""Of a surprise, in nats: e^-300 is as far as anything can be told apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One way to measure how odd a record is, in logarithms, and how normal records look in it.

    Attributes:
        name: of the measure.
        start: what a tenth of normal records exceed.
        scale: how far they exceed it on average.
    """

    name: str
    start: float
    scale: float

    def surprise(self, values: Values) -> Values:
        """About -ln of how often a normal record measures higher (N,), never below 0.

        Beyond the start an exponential tail, -ln(0.1) + (value - start) / scale; softened
        towards 0 for the records within, among which order matters less.
        """
        beyond = np.clip((values - self.start) / self.scale, -FARTHEST, FARTHEST)
        surprise: Values = np.logaddexp(0.0, beyond - np.log(TAIL_SHARE))
        return surprise

    def value(self, surprise: Values) -> Values:
        """The inverse of `surprise`, for surprises (N,) above 0 that have not reached their bound."""
        beyond = surprise + np.log(-np.expm1(-surprise)) + np.log(TAIL_SHARE)
        value: Values = self.start + self.scale * np.minimum(beyond, FARTHEST)
        return value


def fit_view(name: str, values: Values) -> View:
    """The view of held-out normal records' measures (n,)."""
    start = float(np.quantile(values, 1 - TAIL_SHARE))
    excess = values[values > start] - start
    scale = float(excess.mean()) if excess.size else LEAST_SCALE
    return View(name=name, start=start, scale=max(scale, LEAST_SCALE))


def mean_surprise(views: tuple[View, ...], measures: dict[str, Values]) -> tuple[Values, Values]:
    """The mean surprise of the views (N,), and each view's part of it (N, V), summing to 1.

    A mean, because the maximum over views was always worse (docs/decisions.md, "Mean of views").
    """
    surprises = np.stack([view.surprise(measures[view.name]) for view in views], axis=1)
    return surprises.mean(axis=1), surprises / surprises.sum(axis=1, keepdims=True)
