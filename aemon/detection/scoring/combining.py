"""Combination of several views of a record: each gives a surprise, and the surprises are averaged.

A surprise is about -ln of the share of normal records that are more unusual in this view. So the
surprises of all views have the same scale.
"""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Values

TAIL_SHARE = 0.1
"""Share of the held-out normal records whose measure is above the start of a view's tail."""

LEAST_SCALE = 1e-3
"""Least scale of a view's tail, in logarithms: a smaller scale is an effect of rounding."""

FARTHEST = 300.0
"""Largest surprise, in nats. Double precision cannot distinguish values rarer than e^-300."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One way to measure how unusual a record is, with the scale of normal records.

    Measures are logarithms.

    Attributes:
        name: name of the measure.
        start: value that a tenth of the normal records exceed.
        scale: mean excess over the start, of the normal records that exceed the start.
    """

    name: str
    start: float
    scale: float

    def surprise(self, values: Values) -> Values:
        """Return surprises (N,) of measures (N,), at least 0.

        A surprise is about -ln of the share of normal records with a higher measure. Above the
        start, the tail is exponential: the surprise is -ln(0.1) + (value - start) / scale. Below
        the start, where exact surprises matter less, the surprise falls smoothly towards 0.
        """
        beyond = np.clip((values - self.start) / self.scale, -FARTHEST, FARTHEST)
        surprise: Values = np.logaddexp(0.0, beyond - np.log(TAIL_SHARE))
        return surprise

    def value(self, surprise: Values) -> Values:
        """Return the measures (N,) that give these surprises (N,), which must be above 0.

        A measure is at most `FARTHEST` scales above the start.
        """
        beyond = surprise + np.log(-np.expm1(-surprise)) + np.log(TAIL_SHARE)
        value: Values = self.start + self.scale * np.minimum(beyond, FARTHEST)
        return value


def fit_view(name: str, values: Values) -> View:
    """Fit a view to the measures (n,) of held-out normal records."""
    start = float(np.quantile(values, 1 - TAIL_SHARE))
    excess = values[values > start] - start
    scale = float(excess.mean()) if excess.size else LEAST_SCALE
    return View(name=name, start=start, scale=max(scale, LEAST_SCALE))


def mean_surprise(views: tuple[View, ...], measures: dict[str, Values]) -> tuple[Values, Values]:
    """Return the mean surprise (N,) of the views, and the share (N, V) of each view in this mean.

    The shares of a record add up to 1. The maximum of the views was always worse than the mean
    (docs/decisions.md, "Mean of views").
    """
    surprises = np.stack([view.surprise(measures[view.name]) for view in views], axis=1)
    return surprises.mean(axis=1), surprises / surprises.sum(axis=1, keepdims=True)
