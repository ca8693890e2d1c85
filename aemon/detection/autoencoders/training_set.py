"""What autoencoders are taught: records as features, and which of them each member never sees."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.features.outputs import Outputs

LAST_SHARE = 0.2
"""Share of the records, the newest, that a single member never sees."""


CUT_ALONE = 20
"""Records a stretch that an entity must have to be cut on its own."""

ALIKE = 4.0
"""Standard errors of an autocorrelation, beyond which records in a row are a series."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """N records to learn from.

    Attributes:
        features: X (N, F), 0 where missing; or (M, N, F), where members learn from features of
            their own.
        mask: (N, F), which cells were observed.
        weights: (F,) weight of each feature in the error.
        outputs: what makes features of the last layer's numbers.
        width: independent features that vary and are judged.
        folds: (N,) the member that never sees a record, -1 where all do.
        members: how many autoencoders learn, M.
        trusted: (N,) which records teach; None if all do. The others are only held out.
        by_choice: whether the records follow each other, where somebody has said so.
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
    def teachers(self) -> Rows:
        """Rows of the records that teach (K,)."""
        return np.arange(len(self)) if self.trusted is None else np.flatnonzero(self.trusted)

    @property
    def unseen(self) -> Mask:
        """Which records each member never sees (M, N)."""
        unseen: Mask = self.folds == np.arange(self.members)[:, None]
        return unseen if self.trusted is None else unseen | ~self.trusted

    @cached_property
    def series(self) -> bool:
        """Whether the records follow each other: by choice, or by how alike those in a row are."""
        if self.by_choice is not None:
            return self.by_choice
        return self.likeness.beyond_chance

    @cached_property
    def likeness(self) -> "Likeness":
        """How alike the records in a row are, by what is judged."""
        judged = self.weights > 0
        _, entities = np.unique(self.features[:, ~judged], axis=0, return_inverse=True)
        return likeness_in_a_row(self.features[:, judged], entities.ravel())

    @cached_property
    def pools(self) -> npt.NDArray[np.int64]:
        """Rows each member learns from (M, n); the shortest pool sets n, for one batched net."""
        pools = [np.flatnonzero(~unseen) for unseen in self.unseen]
        least = min(map(len, pools))
        return np.stack([pool[_evenly(len(pool), least)] for pool in pools]).astype(np.int64)


def contiguous_folds(records: int, members: int) -> Rows:
    """The fold of each of N records in time order (N,): M stretches of equal length.

    In stretches, because neighbours in time are alike: a record is then judged by a member that
    saw none of its neighbours but those at the ends (blocked cross-validation, Burman, Chow &
    Nolan 1994). A single member is tried on the newest fifth alone.
    """
    if members == 1:
        held_out = np.arange(records) >= round((1 - LAST_SHARE) * records)
        return np.where(held_out, 0, -1).astype(np.intp)
    return (np.arange(records) * members // max(records, 1)).astype(np.intp)


def folds_of(entities: npt.NDArray[np.object_], members: int) -> Rows:
    """The fold of each of N records in time order (N,): each entity's are cut on their own.

    Were all cut together, an entity that is new, or has a new level, would lie in the newest
    stretch alone: its member would have seen nothing of it, and the line would be that high.
    Entities with few records are cut together.

    Args:
        entities: (N,) what each record belongs to.
        members: how many stretches, M.
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
    """Return how alike records in a row are, those of each entity.

    By the mean first autocorrelation of the features (N, F), each entity's about its own mean;
    its standard error is at most 1 / sqrt(N) where records come in any order (Bartlett 1946).

    Args:
        features: (N, F), in the order of time.
        entities: (N,) whose each record is, from 0; None where all are of one.
    """
    if not features.size:
        return NOT_ALIKE
    if entities is None:
        entities = np.zeros(len(features), dtype=np.intp)
    order = np.argsort(entities, kind="stable")
    whose, ordered = entities[order], features[order].astype(np.float64)
    sums = np.stack([np.bincount(whose, column) for column in ordered.T], axis=1)
    means = sums / np.maximum(np.bincount(whose), 1)[:, None]
    centred = ordered - means[whose]
    in_row = whose[1:] == whose[:-1]
    if not in_row.any():
        return NOT_ALIKE
    power = (centred**2).mean(axis=0)
    together = (centred[1:] * centred[:-1])[in_row].mean(axis=0)
    correlation = np.divide(together, power, out=np.zeros_like(power), where=power > 0)
    return Likeness(float(correlation.mean()), float(1 / np.sqrt(in_row.sum())))


class Likeness(NamedTuple):
    """A mean autocorrelation and its standard error."""

    mean: float
    error: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the records are a series."""
        return self.mean > ALIKE * self.error


NOT_ALIKE = Likeness(0.0, 1.0)


def _evenly(there: int, wanted: int) -> npt.NDArray[np.intp]:
    return np.linspace(0, there - 1, wanted).round().astype(np.intp)
