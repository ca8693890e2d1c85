"""Lessons that tests teach: records of a few hidden causes, in spreads."""

from dataclasses import replace

import numpy as np

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.training_set import TrainingSet, contiguous_folds
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.scorer_fitting import ScoringPlan, fit_scorer, hold_out


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
    return TrainingSet(
        features=features,
        mask=np.ones((count, width), dtype=bool) if mask is None else mask,
        weights=np.ones(width, dtype=np.float32) if weights is None else weights,
        outputs=Outputs.linear(width) if outputs is None else outputs,
        width=width,
        folds=contiguous_folds(count, members),
        members=members,
    )


def fit(kind, features, *, members=3, trusted=None, settings=None, seed=0):
    """What a kind makes of records (N, F), each cell of which may err by 0.02 at least."""
    training_set = replace(lesson_of(features, members=members), trusted=trusted)
    settings = settings or DetectorSettings(kind=kind, members=members, steps=150)
    autoencoder = KINDS[kind].learn(training_set, settings, seed, None)
    floors = np.full(features.shape[1], 0.02, dtype=np.float32)
    held_out = hold_out(autoencoder, training_set)
    return fit_scorer(
        autoencoder,
        training_set,
        held_out,
        ScoringPlan(floors=floors, views=KINDS[kind].views),
        seed=seed,
    )


def mean_square(gaps):
    return float((np.asarray(gaps, dtype=float) ** 2).mean())


def whole(training_set: TrainingSet) -> TrainingSet:
    """The same records, all of them for a single member."""
    return replace(training_set, folds=np.full(len(training_set), -1), members=1)


def wandering(count, seed):
    """Records of a slow walk: each is very much like the one before."""
    steps = np.random.default_rng(seed).normal(size=(count, 4))
    walk = np.cumsum(steps, axis=0)
    return ((walk - walk.mean(axis=0)) / walk.std(axis=0)).astype(np.float32)
