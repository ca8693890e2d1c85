"""The scales of features: mean, spread, weight and floor of each feature, from training records."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from aemon.detection.arrays import Values
from aemon.detection.features.angles import as_circle
from aemon.detection.features.cells import read_texts
from aemon.detection.features.columns import MOST_CATEGORIES, Kind

if TYPE_CHECKING:
    import pandas as pd

RELATIVE_SPREAD_FLOOR = 1e-9
"""Least spread of a column that varies, as a share of its largest absolute value. A smaller spread
comes from rounding, and the column is constant."""

NUMERIC_FLOOR = 0.02
"""Floor of a number: lower bound of its usual residual, in spreads. The bound is used if the
residuals in training were smaller."""

PLACE_SPREAD_FLOOR = 0.3
"""Least spread of a 0/1 feature. The error of a rare category is then at most (1 / 0.3)^2 = 11. The
likelihood of a category with a share of p = 0.004 gives the same error, -2 ln p. So the error of a
rarer category does not exceed the error from its likelihood."""

SIDE_SPREAD_FLOOR = 0.02
"""Least spread of the sine and the cosine of an angle. Without this bound, a direction that hardly
changes would have large errors."""

UNSEEN_FLOOR = 0.1
"""Floor of the feature for categories that are not in the training set. A record with such a
category has an error of (1 / 0.1)^2 = 100."""


@dataclass
class Features:
    """The scales of features, in the order of the features."""

    means: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    def add(
        self,
        *,
        mean: float,
        spread: float,
        weight: float,
        floor: float,
        low: float = 0,
        high: float = 1,
    ) -> None:
        """Add the scale of one feature; mean, spread, low and high are in units of raw values."""
        self.means.append(mean)
        self.spreads.append(spread)
        self.weights.append(weight)
        self.floors.append(floor)
        self.lows.append(low)
        self.highs.append(high)

    def and_then(self, more: "Features") -> "Features":
        """Return the scales of these features, and after them the scales of `more`."""
        names = (one.name for one in fields(self))
        return Features(**{name: getattr(self, name) + getattr(more, name) for name in names})


def add_angle(features: Features, degrees: Values) -> int:
    """Add the scales of an angle's sine and cosine; return the number of added features, 2."""
    circle = as_circle(degrees)
    for side in circle.T:
        spread = max(float(side.std()), SIDE_SPREAD_FLOOR)
        features.add(
            mean=float(side.mean()), spread=spread, weight=1, floor=NUMERIC_FLOOR, low=-1, high=1
        )
    return len(circle.T)


def add_number(features: Features, cells: Values, kind: Kind) -> bool:
    """Add the scale of a number or a boolean, from its cells; return False for a constant."""
    mean = float(cells.mean()) if cells.size else 0.0
    spread = float(cells.std()) if cells.size else 0.0
    low, high = (float(cells.min()), float(cells.max())) if cells.size else (0.0, 0.0)
    weight, floor = 1, NUMERIC_FLOOR
    if spread <= RELATIVE_SPREAD_FLOOR * max(abs(low), abs(high)):
        spread, weight, floor = 0, 0, 1
    elif kind == "boolean":
        spread = max(spread, PLACE_SPREAD_FLOOR)
        floor = PLACE_SPREAD_FLOOR / spread
    features.add(mean=mean, spread=spread, weight=weight, floor=floor, low=low, high=high)
    return weight > 0


def add_categories(features: Features, values: "pd.Series[Any]") -> tuple[tuple[str, ...], bool]:
    """Add the scales of the features of a categorical column.

    There is one feature for each frequent category, and one feature for all other texts.

    If there are more than two frequent categories, their features have a total weight of 2. So a
    column with many categories does not dominate the numeric columns.

    Returns:
        The frequent categories, and whether the column varies (has two different texts or more).
    """
    texts, codes = read_texts(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))[:MOST_CATEGORIES]
    total = max(int(counts.sum()), 1)
    varies = len(texts) > 1
    shares = [counts[i] / total for i in order]
    rest = max(0.0, 1 - sum(shares))
    for share in shares:
        spread = max((share * (1 - share)) ** 0.5, PLACE_SPREAD_FLOOR)
        features.add(
            mean=share,
            spread=spread if varies else 0,
            weight=min(1.0, 2 / len(shares)) if varies else 0,
            floor=PLACE_SPREAD_FLOOR / spread,
        )
    spread = max((rest * (1 - rest)) ** 0.5, PLACE_SPREAD_FLOOR)
    features.add(
        mean=rest,
        spread=spread if varies else 0,
        weight=1 if varies else 0,
        floor=UNSEEN_FLOOR / spread,
    )
    return tuple(texts[i] for i in order), varies
