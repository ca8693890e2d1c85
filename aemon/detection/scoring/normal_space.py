"""The space of normal records, and the measures of a record in this space."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows, Values
from aemon.detection.scoring.neighbours import Prototypes
from aemon.detection.scoring.relations import Relations
from aemon.detection.scoring.residuals import reconstruction_errors

MEASURES = ("residual", "neighbour", "density", "joint", "relation", "whitened")
"""Names of the measures of a record; `Space.measure` describes them."""

RESIDUAL_WEIGHT = 0.5
"""Weight of whitened residuals in the joint space (docs/decisions.md, "The joint space").

Features have weight 1.
"""

NEIGHBOURS = 5
"""Number of nearest normal records whose mean distance measures the density of normal records."""

CONTEXT_WEIGHT = 4.0
"""Weight of the entity in distances. With this weight, the normal records that are nearest to a
record belong to the record's entity, if the entity has normal records within several spreads."""

BLOCK_RECORDS = 2_048
"""Number of records in one block: the temporaries of a block stay in the processor's cache."""

SAME_CONTEXT = 1e-3
"""Distance between context features, in spreads, below which two records have the same entity."""

USUAL_GAP = 9.0
"""Largest squared distance from the entity's mean, in spreads, that is usual for a column."""

LEAST_SPREAD = 0.1
"""Least spread of a column within one entity, in spreads of all records. So in a column that is
constant in the entity, a gap of one spread of all records counts as (1 / 0.1)^2."""

NEAREST = 1e-4
"""Least squared distance, per unit of weight: records within 1 % of a spread count as equal."""


class Related(NamedTuple):
    """N records on the scale of `Relations`."""

    whitened: Floats  # (N, F)
    nearest: Rows  # (N,), row of the nearest prototype on this scale; empty unless requested


class Measures(NamedTuple):
    """Measures of N records, and the normal records that are nearest to them."""

    values: dict[str, Values]  # name of the measure -> (N,) logarithms
    errors: Floats  # (N, F), squared gaps of the residual
    nearest: Rows  # (N,), the nearest prototype; empty unless requested
    joint: Rows  # (N,), the nearest prototype in the joint space; empty unless requested
    related: Related | None = None  # None unless requested


class _Contexts(NamedTuple):
    """Mean and spread of the normal records of each of E entities."""

    means: Floats  # (E, F)
    spreads: Floats  # (E, F)


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Normal records and their residuals, for comparison with new records.

    Attributes:
        weights: (F,) weight of each feature in errors.
        whitening: (F, F) converts residuals to the scale of normal residuals.
        usual: (F,) usual error of each feature; the usual errors add up to the sum of the weights.
            If a feature is missing in a record, the record's error is smaller by about this part.
        prototypes: P normal records, scaled.
        joint: (P, 2F) features of the prototypes and their whitened residuals; empty if not used.
        densities: (P,) mean log squared distance from each prototype to its neighbours; empty if
            not used.
        relations: the joint distribution of the features; None if not used.
        vouchers: number of prototypes that must be near to a record before the record counts as
            near to normal records; above 1 if some prototypes may be anomalies.
    """

    weights: Floats
    whitening: Floats
    usual: Floats
    prototypes: Prototypes
    joint: Prototypes
    densities: Floats
    vouchers: int = 1
    relations: Relations | None = None

    def measure(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        residuals: Floats,
        names: tuple[str, ...],
        *,
        whitening: Floats | None = None,
        without: Rows | None = None,
    ) -> Measures:
        """Return the logarithms of the requested measures, per unit of observed weight.

        - `residual`: the Mahalanobis distance of the residual;
        - `neighbour`: the squared distance to the nearest normal record;
        - `density`: the squared distance to the five nearest normal records, divided by the squared
          distances of these five records to their own neighbours (after the local outlier factor,
          Breunig et al. 2000);
        - `joint`: like `neighbour`, in the space of the features and their whitened residuals;
        - `relation`: the Mahalanobis distance of the record itself, by `relations`;
        - `whitened`: like `neighbour`, on the scale of `relations`.

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), True for observed cells.
            residuals: (D, N, F), 0 where missing.
            names: names of measures; `residual` is always measured.
            whitening: whitening matrix; by default the matrix of the space.
            without: (N,) row of a prototype that must not be found for the record; -1 for none.
        """
        whitening = self.whitening if whitening is None else whitening
        errors = reconstruction_errors(residuals, mask, whitening, self.weights)
        total = errors.sum(axis=1, keepdims=True, dtype=np.float64)
        values = {"residual": self.logarithms(total, mask, self.usual)[:, 0]}
        nearest = joint = np.empty(0, dtype=np.intp)
        if {"neighbour", "density"}.intersection(names):
            found, nearest = self._near(X, mask, names, without)
            values |= found
        if "joint" in names:
            both = self.beside(X, residuals.mean(axis=0) @ whitening)
            double = None if mask.all() else np.concatenate([mask, mask], axis=1)
            beside, places = self.joint.nearest(both, double, k=self.vouchers, without=without)
            joint, values["joint"] = places[:, -1], self.logarithms(beside, mask)[:, -1]
        related = None
        if self.relations is not None and {"relation", "whitened"}.intersection(names):
            found, related = self._related(self.relations, X, mask, names, without)
            values |= found
        return Measures(values, errors, nearest, joint, related)

    def _near(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        names: tuple[str, ...],
        without: Rows | None,
    ) -> tuple[dict[str, Values], Rows]:
        """Return `neighbour`, `density` if requested, and rows (N,) of the nearest prototypes."""
        gaps = None if mask.all() else mask
        k = max(NEIGHBOURS if "density" in names else 1, self.vouchers)
        distances, rows = self.prototypes.nearest(self.scaled(X), gaps, k=k, without=without)
        logs = self.logarithms(distances, mask)
        values = {"neighbour": logs[:, self.last_voucher]}
        if "density" in names:
            values["density"] = (logs - self.densities[rows])[:, :NEIGHBOURS].mean(axis=1)
        return values, rows[:, self.last_voucher]

    def _related(
        self,
        relations: Relations,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        names: tuple[str, ...],
        without: Rows | None,
    ) -> tuple[dict[str, Values], Related]:
        """Return the measures `relation` and `whitened`, with the whitened records."""
        whitened, nearest = relations.whitened(X, mask), np.empty(0, dtype=np.intp)
        total = (whitened**2).sum(axis=1, keepdims=True, dtype=np.float64)
        values = {"relation": self.logarithms(total, mask)[:, 0]}
        if "whitened" in names:
            distances, nearest = relations.nearest(whitened, without, vouchers=self.vouchers)
            values["whitened"] = self.logarithms(distances[:, None], mask)[:, 0]
        return values, Related(whitened, nearest)

    @cached_property
    def rough(self) -> "Space":
        """The space with few prototypes: all its measures except `density` are upper bounds."""
        relations = self.relations
        return replace(
            self,
            prototypes=self.prototypes.few,
            joint=self.joint.few,
            relations=relations and replace(relations, points=relations.points.few),
        )

    @property
    def normal_records(self) -> Floats:
        """The prototypes as features (P, F)."""
        normal: Floats = self.prototypes.points / self.roots
        return normal

    def guess(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Fill missing cells (N, F) with the mean of the nearest normal records.

        A record without any observed cell stays unchanged. Context features also stay unchanged.
        """
        known = mask | (self.weights <= 0)
        rows = np.flatnonzero(~known.all(axis=1) & mask[:, self.weights > 0].any(axis=1))
        if not rows.size:
            return X
        filled, records = X.copy(), self.normal_records
        for start in range(0, len(rows), BLOCK_RECORDS):
            part = rows[start : start + BLOCK_RECORDS]
            _, nearest = self.prototypes.nearest(self.scaled(X[part]), mask[part], k=NEIGHBOURS)
            filled[part] = np.where(known[part], X[part], records[nearest].mean(axis=1))
        return filled

    def usual_of_context(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Return the mean (N, F) of the normal records of each record's entity; NaN if unknown."""
        rows, which = self._known_contexts(X, mask)
        usual = np.full(X.shape, np.nan, dtype=np.float32)
        usual[rows] = self._contexts.means[which]
        return usual

    def gaps_to_context(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Return squared gaps (N, F) between a record and the mean of its entity.

        The unit is the spread of the entity. The gap is 0 if the entity is unknown, if there is
        only one entity, or if the gap is usual.
        """
        rows, which = self._known_contexts(X, mask)
        gaps = np.zeros_like(X)
        if len(self._contexts.means) > 1:
            found = self._contexts
            gaps[rows] = ((X[rows] - found.means[which]) / found.spreads[which]) ** 2
        return gaps * (mask & (self.weights > 0) & (gaps > USUAL_GAP))

    def _known_contexts(self, X: Floats, mask: Mask) -> tuple[Rows, Rows]:  # noqa: N803
        """Return rows (n,) of the records with a known entity, and the entities' indices (n,)."""
        context = self.weights <= 0
        known = np.flatnonzero(mask[:, context].all(axis=1))
        places = self._contexts.means[:, context]
        away = np.abs(X[known][:, None, context] - places[None]).max(axis=2, initial=0)
        which = away.argmin(axis=1)
        same = away[np.arange(len(known)), which] < SAME_CONTEXT
        return known[same], which[same]

    @cached_property
    def _contexts(self) -> "_Contexts":
        records = self.normal_records
        _, which = np.unique(records[:, self.weights <= 0].round(3), axis=0, return_inverse=True)
        parts = [records[which.ravel() == place] for place in range(which.max(initial=-1) + 1)]
        means = np.array([part.mean(axis=0) for part in parts], dtype=np.float32)
        spreads = np.array([part.std(axis=0) for part in parts], dtype=np.float32)
        shape = (len(parts), records.shape[1])
        return _Contexts(means.reshape(shape), np.maximum(spreads, LEAST_SPREAD).reshape(shape))

    def own_prototypes(self, X: Floats, mask: Mask) -> Rows:  # noqa: N803 -- (N, F)
        """Return the row (N,) of the prototype equal to a record in all observed cells, or -1."""
        scaled = self.scaled(X)
        _, nearest = self.prototypes.nearest(scaled, mask)
        rows = nearest[:, 0]
        same = (self.prototypes.points[rows] == scaled) | ~mask
        return np.where(same.all(axis=1), rows, -1)

    def gaps(self, X: Floats, mask: Mask, rows: Rows) -> Floats:  # noqa: N803 -- (N, F)
        """Return squared gaps (N, F) between records and the prototypes at `rows` (N,)."""
        gaps: Floats = (self.scaled(X) - self.prototypes.points[rows]) ** 2
        return gaps * (mask & (self.weights > 0))

    def joint_gaps(self, X: Floats, mask: Mask, residuals: Floats, rows: Rows) -> Floats:  # noqa: N803
        """Return squared gaps (N, F) to prototypes in the joint space.

        The gap of a feature is the sum of two squared gaps: of the feature, and of its residual.
        """
        both = self.beside(X, residuals.mean(axis=0) @ self.whitening)
        squares = (both - self.joint.points[rows]) ** 2
        gaps: Floats = squares[:, : X.shape[1]] + squares[:, X.shape[1] :]
        return gaps * (mask & (self.weights > 0))

    def related_gaps(self, mask: Mask, related: Related) -> Floats:
        """Return squared gaps (N, F) to the nearest prototypes on the scale of `relations`.

        Raises:
            ValueError: the space has no relations.
        """
        if self.relations is None:
            raise ValueError("this space has no relations, so gaps have no scale")
        return self.relations.gaps_to(related.whitened, related.nearest) * mask

    @property
    def last_voucher(self) -> int:
        """Rank of the prototype that a record is compared with, among its nearest prototypes."""
        return min(self.vouchers, len(self.prototypes)) - 1

    @cached_property
    def roots(self) -> Floats:
        """Factor (F,) of each feature in distances: the root of its weight.

        Context features have weight 0 in errors. Their weight in distances is `CONTEXT_WEIGHT`, so
        records of different entities are far from each other.
        """
        roots: Floats = np.sqrt(np.where(self.weights > 0, self.weights, CONTEXT_WEIGHT))
        return roots.astype(np.float32)

    def scaled(self, X: Floats) -> Floats:  # noqa: N803 -- (N, F)
        """Return features (N, F) on the scale on which distances are measured."""
        scaled: Floats = X * self.roots
        return scaled

    def beside(self, X: Floats, whitened: Floats) -> Floats:  # noqa: N803 -- (N, F)
        """Return records (N, 2F) in the joint space: scaled features, then whitened residuals."""
        return np.concatenate([self.scaled(X), RESIDUAL_WEIGHT * self.scaled(whitened)], axis=1)

    def logarithms(
        self, totals: npt.NDArray[np.floating], mask: Mask, weights: Floats | None = None
    ) -> Values:
        """Divide totals (N, k) by the observed weight, and return the logarithms (N, k)."""
        weights = self.weights if weights is None else weights
        observed = mask @ weights.astype(np.float64)
        observed = np.where(observed > 0, observed, 1.0)[:, None]
        logs: Values = np.log(np.maximum(totals / observed, NEAREST))
        return logs
