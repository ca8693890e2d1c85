"""The training set of autoencoders: records as features, and the held-out fold of each member."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.features.outputs import Outputs

LAST_SHARE = 0.2
"""If a detector has only one member, the newest records are held out: this share of all records."""

CUT_ALONE = 20
"""The records of an entity are divided into folds separately if each fold gets at least this number
of records."""

ALIKE = 4.0
"""Records are a series if their autocorrelation is above this many standard errors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """N training records, as features.

    Attributes:
        features: X (N, F), 0 where a cell is missing; or (M, N, F), if each member learns from its
            own features.
        mask: (N, F), True for observed cells.
        weights: (F,) weight of each feature in the error.
        outputs: conversion of the last layer's numbers to features.
        width: number of independent features that vary and are judged.
        folds: (N,) number of the member that does not learn from the record; -1 if all members
            learn from the record.
        members: number of autoencoders, M.
        trusted: (N,) mask of the records that members learn from; no member learns from other
            records. None if all records are trusted.
        by_choice: whether the records are a series, as configured; None if not configured.
    """

    features: Floats
    mask: Mask
    weights: Floats
    outputs: Outputs
    width: int
    folds: Rows
    members: int
    trusted: Mask | None = None
    by_choice: bool | None = None

    def __len__(self) -> int:
        return len(self.folds)

    @property
    def trusted_rows(self) -> Rows:
        """Rows (K,) of the records that members may learn from."""
        return np.arange(len(self)) if self.trusted is None else np.flatnonzero(self.trusted)

    @property
    def unseen(self) -> Mask:
        """Mask (M, N) of the records that each member does not learn from."""
        unseen: Mask = self.folds == np.arange(self.members)[:, None]
        return unseen if self.trusted is None else unseen | ~self.trusted

    @cached_property
    def series(self) -> bool:
        """Whether the records are a series: as configured, else by their autocorrelation."""
        if self.by_choice is not None:
            return self.by_choice
        return self.likeness.beyond_chance

    @cached_property
    def likeness(self) -> "Likeness":
        """Autocorrelation of consecutive records in the judged features."""
        judged = self.weights > 0
        _, entities = np.unique(self.features[:, ~judged], axis=0, return_inverse=True)
        return likeness_in_a_row(self.features[:, judged], entities.ravel())

    @cached_property
    def pools(self) -> npt.NDArray[np.int64]:
        """Rows (M, n) of the records that each member learns from.

        All members learn from the same number of records, n, so that one array has all batches.
        The member with the fewest records sets n.
        """
        pools = [np.flatnonzero(~unseen) for unseen in self.unseen]
        least = min(map(len, pools))
        return np.stack([pool[_evenly(len(pool), least)] for pool in pools]).astype(np.int64)


def contiguous_folds(records: int, members: int) -> Rows:
    """Return the fold (N,) of each of N records in the order of time: M parts of equal length.

    Folds are contiguous because records at about the same time are similar. So the member that
    judges a record was not trained on the records around it, except at the ends of the fold
    (blocked cross-validation, Burman, Chow & Nolan 1994). With a single member, the newest fifth
    of the records is the only fold.
    """
    if members == 1:
        held_out = np.arange(records) >= round((1 - LAST_SHARE) * records)
        return np.where(held_out, 0, -1).astype(np.intp)
    return (np.arange(records) * members // max(records, 1)).astype(np.intp)


def folds_of(entities: npt.NDArray[np.object_], members: int) -> Rows:
    """Return the fold (N,) of each of N records in the order of time, divided by entity.

    If all records were divided together, all records of a new entity would be in the newest fold.
    The member of this fold would not know the entity, and the threshold would be too high. An
    entity with a new level has the same problem. Entities with few records are divided together.

    Args:
        entities: (N,) entity of each record.
        members: number of folds, M.
    """
    names, codes = np.unique(entities.astype(str), return_inverse=True)
    few = np.bincount(codes, minlength=len(names)) < CUT_ALONE * members
    codes = np.where(few[codes], -1, codes)
    folds = np.empty(len(entities), dtype=np.intp)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        folds[rows] = contiguous_folds(len(rows), members)
    return folds


def likeness_in_a_row(features: Floats, entities: Rows | None = None) -> "Likeness":
    """Return how similar consecutive records of an entity are.

    The measure is the first autocorrelation, averaged over the features (N, F). The mean of each
    entity is subtracted from its records first. The standard error of the measure is at most
    1 / sqrt(N) for records in random order (Bartlett 1946).

    Args:
        features: (N, F), in the order of time.
        entities: (N,) number of each record's entity, from 0; None for a single entity.
    """
    if not features.size:
        return NOT_ALIKE
    if entities is None:
        entities = np.zeros(len(features), dtype=np.intp)
    order = np.argsort(entities, kind="stable")
    owners, ordered = entities[order], features[order].astype(np.float64)
    sums = np.stack([np.bincount(owners, column) for column in ordered.T], axis=1)
    means = sums / np.maximum(np.bincount(owners), 1)[:, None]
    centred = ordered - means[owners]
    in_row = owners[1:] == owners[:-1]
    if not in_row.any():
        return NOT_ALIKE
    power = (centred**2).mean(axis=0)
    together = (centred[1:] * centred[:-1])[in_row].mean(axis=0)
    correlation = np.divide(together, power, out=np.zeros_like(power), where=power > 0)
    return Likeness(float(correlation.mean()), float(1 / np.sqrt(in_row.sum())))


class Likeness(NamedTuple):
    """The mean autocorrelation of consecutive records, with its standard error."""

    mean: float
    error: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the autocorrelation is too high to be chance; the records are then a series."""
        return self.mean > ALIKE * self.error


NOT_ALIKE = Likeness(0.0, 1.0)


def _evenly(present: int, needed: int) -> npt.NDArray[np.intp]:
    return np.linspace(0, present - 1, needed).round().astype(np.intp)
