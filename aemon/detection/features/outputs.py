"""The output layer follows the column: numbers as they are, truths and categories by odds.

A sigmoid makes a probability of a truth, a softmax of the places of a category (Bishop 2006,
section 5.2); `training` has the losses that belong to them.
"""

from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats

MOST_LOGIT = 30.0
"""Logits are held within this: e^30 is certainty in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """How the last layer's F numbers become features. Made by `FeatureMap.outputs`.

    A truth or a category is a probability p; the feature it belongs to is scaled, so what comes
    out is (p - mean) / spread.

    Attributes:
        booleans: places of features that are true or false.
        categories: for each categorical column its first place and the one after its last.
        means: (F,) of the raw features.
        spreads: (F,) of the raw features; 0 marks a constant.
    """

    booleans: tuple[int, ...]
    categories: tuple[tuple[int, int], ...]
    means: Floats
    spreads: Floats

    @classmethod
    def linear(cls, features: int) -> "Outputs":
        """F numbers, as they are."""
        return cls(
            booleans=(),
            categories=(),
            means=np.zeros(features, dtype=np.float32),
            spreads=np.ones(features, dtype=np.float32),
        )

    @property
    def plain(self) -> bool:
        """Whether every feature is a number, so that nothing is to be done."""
        return not (self.booleans or self.categories)

    def __call__(self, raw: Floats) -> Floats:
        """Features (..., F) of the last layer's numbers (..., F), which are overwritten."""
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
