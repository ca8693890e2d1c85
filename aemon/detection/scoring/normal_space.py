"""Where normal records lie: what is measured of a record against them."""

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
"""What can be measured of a record, as `Space.measure` says."""

RESIDUAL_WEIGHT = 0.5
"""Of a whitened residual beside a feature, in the joint space (docs/decisions.md, "The joint space")."""

NEIGHBOURS = 5
"""Nearest normal records whose mean distance tells how crowded a place is."""

CONTEXT_WEIGHT = 4.0
"""Of an entity's place in distances: the neighbours of a record are those of its own entity, as
long as there are any within several spreads."""

BLOCK_RECORDS = 2_048
"""Records worked on at once: the temporaries of a block stay in the processor's cache."""

SAME_CONTEXT = 1e-3
"""In spreads: places of entities that are nearer are the same."""

USUAL_GAP = 9.0
"""Squared, in spreads: a column may be so far from what its entity lives at."""

LEAST_SPREAD = 0.1
"""Of an entity, in spreads of all: a column that it never moved in errs by (1 / 0.1)^2 a spread."""

NEAREST = 1e-4
"""The least squared distance believed, a unit of weight: 1 % of a spread is a repetition."""


class Related(NamedTuple):
    """N records on the scale of the relations."""

    whitened: Floats  # (N, F)
    nearest: Rows  # (N,), the nearest prototype on that scale; empty where it was not wanted


class Measures(NamedTuple):
    """What was measured of N records, and what it was measured against."""

    values: dict[str, Values]  # (N,) logarithms
    errors: Floats  # (N, F), of the residual
    nearest: Rows  # (N,), the nearest prototype; empty where it was not wanted
    joint: Rows  # (N,), the same in the joint space; empty where it was not wanted
    related: Related | None = None  # on the scale of the relations, where that was wanted


class _Contexts(NamedTuple):
    """The normal records of each entity."""

    means: Floats  # (E, F)
    spreads: Floats  # (E, F)


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Normal records and their residuals, to hold others against.

    Attributes:
        weights: (F,) a feature's weight in errors.
        whitening: (F, F) from residuals to the scale of normal residuals.
        usual: (F,) a feature's usual error, scaled to add up to the weight of all: a record that
            lacks a feature lacks that much.
        prototypes: P normal records, scaled.
        joint: the same beside their whitened residuals (P, 2F); empty where nobody asks.
        densities: (P,) mean log squared distance from each prototype to those around it; empty where
            nobody asks.
        relations: how the features go together; None where nobody asks.
        vouchers: how many prototypes must be near, for a record to be near to normal ones; more
            than 1 where some of them may be anomalies.
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
        wanted: tuple[str, ...],
        *,
        whitening: Floats | None = None,
        without: Rows | None = None,
    ) -> Measures:
        """Logarithms, a unit of observed weight, of what is wanted of N records.

        - `residual`: the Mahalanobis distance of the residual;
        - `neighbour`: the squared distance to the nearest normal record;
        - `density`: the squared distance to the five nearest, over theirs to the five nearest
          to them (after the local outlier factor, Breunig et al. 2000);
        - `joint`: as `neighbour`, in the space of the features and their whitened residuals;
        - `relation`: the Mahalanobis distance of the record itself;
        - `whitened`: as `neighbour`, on the scale of that distance.

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), which cells were observed.
            residuals: (D, N, F), 0 where missing.
            wanted: names of measures; `residual` is always taken.
            whitening: another than the space's own.
            without: (N,) the prototype a record must not be held against, or -1.
        """
        whitening = self.whitening if whitening is None else whitening
        errors = reconstruction_errors(residuals, mask, whitening, self.weights)
        total = errors.sum(axis=1, keepdims=True, dtype=np.float64)
        values = {"residual": self.logarithms(total, mask, self.usual)[:, 0]}
        nearest = joint = np.empty(0, dtype=np.intp)
        if {"neighbour", "density"}.intersection(wanted):
            found, nearest = self._near(X, mask, wanted, without)
            values |= found
        if "joint" in wanted:
            both = self.beside(X, residuals.mean(axis=0) @ whitening)
            double = None if mask.all() else np.concatenate([mask, mask], axis=1)
            beside, places = self.joint.nearest(both, double, k=self.vouchers, without=without)
            joint, values["joint"] = places[:, -1], self.logarithms(beside, mask)[:, -1]
        related = None
        if self.relations is not None and {"relation", "whitened"}.intersection(wanted):
            found, related = self._related(self.relations, X, mask, wanted, without)
            values |= found
        return Measures(values, errors, nearest, joint, related)

    def _near(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        wanted: tuple[str, ...],
        without: Rows | None,
    ) -> tuple[dict[str, Values], Rows]:
        """Measures by the nearest normal records, and the one that is held against (N,)."""
        gaps = None if mask.all() else mask
        k = max(NEIGHBOURS if "density" in wanted else 1, self.vouchers)
        distances, rows = self.prototypes.nearest(self.scaled(X), gaps, k=k, without=without)
        logs = self.logarithms(distances, mask)
        values = {"neighbour": logs[:, self.last_voucher]}
        if "density" in wanted:
            values["density"] = (logs - self.densities[rows])[:, :NEIGHBOURS].mean(axis=1)
        return values, rows[:, self.last_voucher]

    def _related(
        self,
        relations: Relations,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        wanted: tuple[str, ...],
        without: Rows | None,
    ) -> tuple[dict[str, Values], Related]:
        """Measures on the scale of the relations."""
        whitened, nearest = relations.whitened(X, mask), np.empty(0, dtype=np.intp)
        total = (whitened**2).sum(axis=1, keepdims=True, dtype=np.float64)
        values = {"relation": self.logarithms(total, mask)[:, 0]}
        if "whitened" in wanted:
            apart, nearest = relations.nearest(whitened, without, vouchers=self.vouchers)
            values["whitened"] = self.logarithms(apart[:, None], mask)[:, 0]
        return values, Related(whitened, nearest)

    @cached_property
    def rough(self) -> "Space":
        """The same with few of the prototypes: all it measures but `density` is as much or more."""
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
        """Features (N, F) with missing cells as in the nearest normal records, on average.

        A record with nothing in it stays as it is, and so does a context that is not known.
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
        """Mean of the normal records of each record's entity (N, F); NaN where it is not known."""
        rows, which = self._known_contexts(X, mask)
        usual = np.full(X.shape, np.nan, dtype=np.float32)
        usual[rows] = self._contexts.means[which]
        return usual

    def gaps_to_context(self, X: Floats, mask: Mask) -> Floats:  # noqa: N803 -- (N, F)
        """Squared gaps (N, F) to what is usual of each record's entity, in its spreads.

        0 where the entity is not known, or the only one, and where the gap is usual.
        """
        rows, which = self._known_contexts(X, mask)
        gaps = np.zeros_like(X)
        if len(self._contexts.means) > 1:
            found = self._contexts
            gaps[rows] = ((X[rows] - found.means[which]) / found.spreads[which]) ** 2
        return gaps * (mask & (self.weights > 0) & (gaps > USUAL_GAP))

    def _known_contexts(self, X: Floats, mask: Mask) -> tuple[Rows, Rows]:  # noqa: N803
        """The records (n,) whose entity is known, and which one it is (n,)."""
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
        """The prototype (N,) that is a record itself, equal in all cells observed; -1 for none."""
        scaled = self.scaled(X)
        _, nearest = self.prototypes.nearest(scaled, mask)
        rows = nearest[:, 0]
        same = (self.prototypes.points[rows] == scaled) | ~mask
        return np.where(same.all(axis=1), rows, -1)

    def gaps(self, X: Floats, mask: Mask, rows: Rows) -> Floats:  # noqa: N803 -- (N, F)
        """Squared gaps (N, F) between records and the prototypes they are nearest to."""
        gaps: Floats = (self.scaled(X) - self.prototypes.points[rows]) ** 2
        return gaps * (mask & (self.weights > 0))

    def joint_gaps(self, X: Floats, mask: Mask, residuals: Floats, rows: Rows) -> Floats:  # noqa: N803
        """The same in the joint space, each feature's two gaps taken together (N, F)."""
        both = self.beside(X, residuals.mean(axis=0) @ self.whitening)
        squares = (both - self.joint.points[rows]) ** 2
        gaps: Floats = squares[:, : X.shape[1]] + squares[:, X.shape[1] :]
        return gaps * (mask & (self.weights > 0))

    def related_gaps(self, mask: Mask, related: Related) -> Floats:
        """The same on the scale of the relations (N, F)."""
        if self.relations is None:
            raise ValueError("a space without relations has no scale of theirs")
        return self.relations.gaps_to(related.whitened, related.nearest) * mask

    @property
    def last_voucher(self) -> int:
        """Place, among the nearest prototypes, of the one that is held against."""
        return min(self.vouchers, len(self.prototypes)) - 1

    @cached_property
    def roots(self) -> Floats:
        """(F,) What a feature is scaled by: squares of differences then add up by weight.

        Context carries no blame, but records of another entity are far away.
        """
        roots: Floats = np.sqrt(np.where(self.weights > 0, self.weights, CONTEXT_WEIGHT))
        return roots.astype(np.float32)

    def scaled(self, X: Floats) -> Floats:  # noqa: N803 -- (N, F)
        """Features (N, F) as distances are measured in."""
        scaled: Floats = X * self.roots
        return scaled

    def beside(self, X: Floats, whitened: Floats) -> Floats:  # noqa: N803 -- (N, F)
        """The joint space (N, 2F): scaled features beside their whitened residuals."""
        return np.concatenate([self.scaled(X), RESIDUAL_WEIGHT * self.scaled(whitened)], axis=1)

    def logarithms(
        self, totals: npt.NDArray[np.floating], mask: Mask, weights: Floats | None = None
    ) -> Values:
        """Logarithms of totals (N, k), a unit of observed weight."""
        weights = self.weights if weights is None else weights
        observed = mask @ weights.astype(np.float64)
        observed = np.where(observed > 0, observed, 1.0)[:, None]
        logs: Values = np.log(np.maximum(totals / observed, NEAREST))
        return logs
