"""Lessons that tests teach: records of a few hidden causes, in spreads."""

import numpy as np

from aemon.detection.lesson import Lesson, contiguous_folds
from aemon.detection.outputs import Outputs


def records(count, seed, *, features=9, causes=3, noise=0.05):
    """Records (N, F) of as many normal causes, mixed; every feature has a spread of 1."""
    mixing = np.random.default_rng(features + causes).normal(size=(causes, features))
    mixing /= np.sqrt((mixing**2).sum(axis=0) + noise**2)
    rng = np.random.default_rng(seed)
    own = noise * rng.normal(size=(count, features))
    return (rng.normal(size=(count, causes)) @ mixing + own).astype(np.float32)


def lesson_of(features, *, mask=None, weights=None, outputs=None, members=1):
    """A lesson of features (N, F), or (M, N, F)."""
    count, width = features.shape[-2:]
    return Lesson(
        features=features,
        mask=np.ones((count, width), dtype=bool) if mask is None else mask,
        weights=np.ones(width, dtype=np.float32) if weights is None else weights,
        outputs=Outputs.linear(width) if outputs is None else outputs,
        width=width,
        folds=contiguous_folds(count, members),
        members=members,
    )


def mean_square(gaps):
    return float((np.asarray(gaps, dtype=float) ** 2).mean())
