"""The output layer for each kind of column: numbers as they are, else probabilities.

A sigmoid gives the probability of a boolean, a softmax the probabilities of categories (Bishop
2006, section 5.2); `training` has the matching losses.
"""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats

MOST_LOGIT = 30.0
"""Largest absolute logit; larger ones are clipped, as e^30 is certainty in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """The output layer, from the last layer's F numbers to features. Made by `FeatureMap.outputs`.

    The output for a boolean or a category is a probability p. Its feature is scaled, so the result
    is (p - mean) / spread.

    Attributes:
        booleans: places of boolean features.
        categories: for each categorical column its first place, and its last place plus 1.
        means: (F,) of the raw features.
        spreads: (F,) of the raw features; 0 marks a constant.
    """

    booleans: tuple[int, ...]
    categories: tuple[tuple[int, int], ...]
    means: Floats
    spreads: Floats

    @classmethod
    def linear(cls, features: int) -> "Outputs":
        """Return an output layer for F plain numbers, which stay as they are."""
        return cls(
            booleans=(),
            categories=(),
            means=np.zeros(features, dtype=np.float32),
            spreads=np.ones(features, dtype=np.float32),
        )

    @property
    def plain(self) -> bool:
        """True if every feature is a plain number, so that `__call__` changes nothing."""
        return not (self.booleans or self.categories)

    def __call__(self, raw: Floats) -> Floats:
        """Return features (..., F) of the last layer's numbers (..., F), which are overwritten."""
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
