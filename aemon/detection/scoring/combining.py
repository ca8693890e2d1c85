"""Combining several views of one record: each on the same scale, then the mean."""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Values

TAIL_SHARE = 0.1
"""Share of the held-out normal records that lie above a view's start."""

LEAST_SCALE = 1e-3
"""Least scale of a view's tail, in logarithms: a narrower tail is rounding."""

FARTHEST = 300.0
"""Bound of a surprise, in nats: double precision cannot distinguish rarer values than e^-300."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One way to measure how unusual a record is, in logarithms, with the scale of normal records.

    Attributes:
        name: name of the measure.
        start: value that a tenth of normal records exceed.
        scale: mean excess of those records over the start.
    """

    name: str
    start: float
    scale: float

    def surprise(self, values: Values) -> Values:
        """Return about -ln of the share of normal records that measure higher (N,), at least 0.

        Beyond the start the tail is exponential: -ln(0.1) + (value - start) / scale. Within the
        start, where the order matters less, the surprise falls smoothly towards 0.
        """
        beyond = np.clip((values - self.start) / self.scale, -FARTHEST, FARTHEST)
        surprise: Values = np.logaddexp(0.0, beyond - np.log(TAIL_SHARE))
        return surprise

    def value(self, surprise: Values) -> Values:
        """Return the inverse of `surprise`, for surprises (N,) above 0 and below their bound."""
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
    """Return the mean surprise of the views (N,), and each view's share of it (N, V), sum 1.

    The maximum over the views was always worse (docs/decisions.md, "Mean of views").
    """
    surprises = np.stack([view.surprise(measures[view.name]) for view in views], axis=1)
    return surprises.mean(axis=1), surprises / surprises.sum(axis=1, keepdims=True)
