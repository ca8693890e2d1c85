"""The output layer of an autoencoder: unchanged numbers, and probabilities.

A sigmoid gives the probability of a boolean. A softmax gives the probabilities of categories
(Bishop 2006, section 5.2). The matching losses are in `training`.
"""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats

MOST_LOGIT = 30.0
"""Largest absolute logit; larger logits are clipped. A logit of 30 already gives a probability of 1
in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """Conversion of the last layer's F numbers to features. `FeatureMap.outputs` makes it.

    The output for a boolean or a category is a probability p. Features are scaled, so the feature
    is (p - mean) / spread.

    Attributes:
        booleans: indices of the boolean features.
        categories: for each categorical column, the index of its first feature, and the index after
            its last feature.
        means: (F,) mean of each raw feature.
        spreads: (F,) spread of each raw feature; 0 marks a constant.
    """

    booleans: tuple[int, ...]
    categories: tuple[tuple[int, int], ...]
    means: Floats
    spreads: Floats

    @classmethod
    def linear(cls, features: int) -> "Outputs":
        """Return an output layer that does not change its F numbers."""
        return cls(
            booleans=(),
            categories=(),
            means=np.zeros(features, dtype=np.float32),
            spreads=np.ones(features, dtype=np.float32),
        )

    @property
    def plain(self) -> bool:
        """True if every feature is a plain number; `__call__` then changes nothing."""
        return not (self.booleans or self.categories)

    def __call__(self, raw: Floats) -> Floats:
        """Convert the last layer's numbers (..., F) to features (..., F); `raw` is overwritten."""
        if self.plain:
            return raw
        if self.booleans:
            places = list(self.booleans)
            logits = np.clip(raw[..., places], -MOST_LOGIT, MOST_LOGIT)
            odds = np.exp(logits)
            raw[..., places] = self._scaled(odds / (1 + odds), places)
        for start, stop in self.categories:
            logits = raw[..., start:stop]
            odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
            odds /= odds.sum(axis=-1, keepdims=True)
            raw[..., start:stop] = self._scaled(odds, slice(start, stop))
        return raw

    def _scaled(self, probabilities: Floats, places: list[int] | slice) -> Floats:
        spreads = self.spreads[places]
        inverse = np.divide(1, spreads, out=np.zeros_like(spreads), where=spreads > 0)
        scaled: Floats = (probabilities - self.means[places]) * inverse
        return scaled
