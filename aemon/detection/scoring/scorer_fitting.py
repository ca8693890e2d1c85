"""Fitting of a scorer: held-out residuals, space of normal records, views, calibration scores."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.training_set import TrainingSet, contiguous_folds
from aemon.detection.scoring.combining import fit_view
from aemon.detection.scoring.neighbours import MOST_PROTOTYPES, Prototypes, choose_prototypes
from aemon.detection.scoring.normal_space import MEASURES, NEIGHBOURS, Space
from aemon.detection.scoring.outline import fit_outline
from aemon.detection.scoring.relations import Relations, choose_shrinkage, fit_relations
from aemon.detection.scoring.residuals import (
    LEAST_SHRINKAGE,
    fit_whitening,
    reconstruction_errors,
    residual_moments,
    residuals_of,
)
from aemon.detection.scoring.scorer import Guard, Scorer, combine

VOUCHED_BY = 20
"""If some prototypes may be anomalies, a record is near to normal records only if at least one
prototype in 20 is near to the record."""

GUARD_PROTOTYPES = 500
"""Number of prototypes if the distance to prototypes is used only by a guard."""

MOST_STRETCH = 1.5
"""Largest ratio of the residuals of unseen records to the residuals of seen records. With a larger
ratio, the residuals of seen records are not used. The value was chosen by comparison of realised
false-alarm rates."""

PARTS = 5
"""Number of parts into which the fold of a single member is divided. Each part is whitened by the
residuals of the other parts. If a part were whitened by its own residuals, its records would look
too normal, and the threshold would be too low: with a target rate of 10 %, 13 % were flagged."""

UPPER = 0.9
"""Quantile at which the sizes of residuals are compared; a high quantile, because thresholds are
high."""

TINY = 1e-9  # keeps a quotient finite


class HeldOut(NamedTuple):
    """Residuals of training records, as if no member had seen the records."""

    residuals: Floats  # (D, N, F)
    filled: Floats  # (N, F), features with missing cells reconstructed


class Fitted(NamedTuple):
    """A fitted scorer, with its results for held-out normal records."""

    scorer: Scorer
    rows: Rows  # (n,) rows of the held-out records in the training set
    scores: Values  # (n,) scores of the held-out records
    error: float  # weighted mean squared residual of the held-out records


def hold_out(autoencoder: Autoencoder, training_set: TrainingSet) -> HeldOut:
    """Return the residuals of each training record as if no member had seen the record.

    All M members judge a new record, and the mean of members varies less than a single member. But
    only one member has not seen a training record. So the residuals of the other members are used
    too, multiplied by a factor that gives them the size of residuals of unseen records. If this
    factor is above `MOST_STRETCH`, the residuals of the other members are not used.
    """
    residuals, reconstruction = residuals_of(autoencoder, training_set.features, training_set.mask)
    filled = np.where(training_set.mask, training_set.features, reconstruction)
    per_member = residuals.reshape(-1, training_set.members, *training_set.features.shape)
    unseen = training_set.unseen
    if training_set.members == 1 or not unseen.any():
        return HeldOut(residuals, filled)
    sizes = ((per_member**2).mean(axis=0) @ training_set.weights) ** 0.5  # (M, N)
    fresh, known = (np.quantile(sizes[which], UPPER) for which in (unseen, ~unseen))
    stretch = float(fresh / max(known, TINY))
    if stretch > MOST_STRETCH:
        honest = per_member[:, training_set.folds, np.arange(len(training_set))]  # (draws, N, F)
        return HeldOut(honest, filled)
    per_member *= np.where(unseen[..., None], 1.0, max(stretch, 1.0)).astype(np.float32)
    return HeldOut(residuals, filled)


@dataclass(frozen=True, kw_only=True)
class ScoringPlan:
    """Settings for scoring records.

    Attributes:
        floors: (F,) least spread of a residual.
        views: names of the measures that make the score, at least one.
        guards: names of the measures that guards use. A guard flags a record whose measure is
            higher than the measures of all normal records.
        diagonal: whether correlations of residuals are ignored.
    """

    floors: Floats
    views: tuple[str, ...]
    guards: tuple[str, ...] = ("neighbour",)
    diagonal: bool = False

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of all measures, each once."""
        return tuple(dict.fromkeys(self.views + self.guards))


def fit_scorer(
    autoencoder: Autoencoder,
    training_set: TrainingSet,
    held_out: HeldOut,
    plan: ScoringPlan,
    *,
    seed: int = 0,
) -> Fitted:
    """Fit a scorer; return the scorer and the scores that calibrate its threshold.

    Held-out records are scored like new records. The residuals are residuals of unseen records. The
    whitening is fitted to the residuals of the other folds, or, for a single member, of the other
    parts of its fold. The prototypes do not include the record itself. In a series, they do not
    include any record of its fold, because records at about the same time are similar.

    Args:
        autoencoder: trained autoencoder.
        training_set: records that the autoencoder was trained on.
        held_out: residuals of the members on the training set.
        plan: settings for scoring records.
        seed: seed of the choice of prototypes.
    """
    ground = _Ground(training_set, *held_out, plan, _shrinkage(training_set, held_out, plan))
    rows = np.flatnonzero(training_set.folds >= 0)
    tried = np.intersect1d(rows, training_set.trusted_rows)
    prototypes = MOST_PROTOTYPES if len(plan.views) > 1 else GUARD_PROTOTYPES
    chosen = choose_prototypes(training_set.trusted_rows, prototypes, seed=seed)
    space = ground.space(tried, chosen)
    kept = ground.logarithms(rows, tried, chosen, space)
    fitted = tuple(fit_view(name, kept[name]) for name in plan.views)
    scores = combine(fitted, kept)
    guards = tuple(_guard(name, kept[name], scores) for name in plan.guards)
    scorer = Scorer(
        autoencoder=autoencoder,
        space=space,
        views=fitted,
        guards=guards,
        outline=fit_outline(held_out.filled[training_set.trusted_rows], training_set.weights),
    )
    guarded = _guarded(scores, kept, plan.guards)
    return Fitted(scorer, rows, guarded, ground.error(rows))


def _guard(name: str, values: Values, scores: Values) -> Guard:
    return Guard(measure=name, radius=float(values.max()), ceiling=float(scores.max()))


def _guarded(scores: Values, kept: dict[str, Values], guards: tuple[str, ...]) -> Values:
    """Return the scores (n,) with the guards applied to each record.

    For each record, the radius of a guard is the largest measure of the other n - 1 records. So
    only the farthest record is outside of its radius. Without this step, a guard would flag one
    normal record in n + 1 in addition to the target rate.
    """
    guarded = scores.copy()
    for name in guards:
        values = kept[name]
        far = int(values.argmax())
        others = np.arange(len(scores)) != far
        found = _guard(name, values[others], scores[others]).scores(values[far : far + 1])
        guarded[far] = max(guarded[far], float(found[0]))
    return guarded


@dataclass(frozen=True)
class _Ground:
    """Held-out normal records that spaces are fitted to."""

    training_set: TrainingSet
    residuals: Floats  # (D, N, F)
    filled: Floats  # (N, F)
    plan: ScoringPlan
    shrinkage: float | None  # shrinkage of the relations; None if not used
    known: dict[bytes, Floats] = field(default_factory=dict)  # bytes of record rows -> whitening

    def whitening(self, rows: Rows) -> Floats:
        """Return the whitening matrix fitted to the residuals of these records.

        The least shrinkage is the shrinkage without the first fold. Without this bound, fewer
        correlations would be removed for all records than for a part of them. Then new records
        would look more unusual than the calibration records; with many columns, this would happen
        many times as often.
        """
        which = rows.tobytes()
        if which not in self.known:
            self.known[which] = self._whitening(rows)
        return self.known[which]

    def _whitening(self, rows: Rows) -> Floats:
        mask, weights = self.training_set.mask[rows], self.training_set.weights
        return fit_whitening(
            self.residuals[:, rows],
            mask,
            weights,
            self.plan.floors,
            diagonal=self.plan.diagonal,
            least_shrinkage=self._shrinkage_of_parts,
        )

    @cached_property
    def _shrinkage_of_parts(self) -> float:
        """Shrinkage of the correlations of residuals, computed without the first fold."""
        trusted_rows = self.training_set.trusted_rows
        rows = trusted_rows[self.training_set.folds[trusted_rows] > 0]
        if self.plan.diagonal or not rows.size:
            return LEAST_SHRINKAGE
        mask, weights = self.training_set.mask[rows], self.training_set.weights
        moments = residual_moments(self.residuals[:, rows], mask, weights, self.plan.floors)
        return moments.shrinkage

    def logarithms(self, rows: Rows, tried: Rows, chosen: Rows, space: Space) -> dict[str, Values]:
        """Return measure -> logarithms (n,) of held-out records, measured like new records.

        Args:
            rows: (n,) rows of the held-out records.
            tried: rows of the records whose residuals may be used for whitening.
            chosen: rows of the prototypes.
            space: space that is fitted to all these records.
        """
        training_set, folds = self.training_set, self.training_set.folds
        place = np.full(len(training_set), -1)
        place[chosen] = np.arange(len(chosen))
        logs = {name: np.zeros(len(training_set)) for name in MEASURES}
        parts = np.full(len(training_set), -1)
        alone = training_set.members == 1
        parts[rows] = contiguous_folds(len(rows), PARTS) if alone else folds[rows]
        for part in np.unique(parts[rows]):
            here = rows[parts[rows] == part]
            others, unseen = tried[parts[tried] != part], chosen[folds[chosen] != folds[here[0]]]
            own = training_set.series and len(unseen) > NEIGHBOURS
            near, related = space, others if others.size else tried
            if own:
                near = self.space(tried, unseen, related)
            elif self.shrinkage is not None:
                near = replace(space, relations=self.relations(related, chosen))
            found = near.measure(
                training_set.features[here],
                training_set.mask[here],
                self.residuals[:, here],
                self.plan.measures,
                whitening=self.whitening(others) if others.size else space.whitening,
                without=None if own else place[here],
            )
            for name, values in found.values.items():
                logs[name][here] = values
        return {name: values[rows] for name, values in logs.items()}

    def error(self, rows: Rows) -> float:
        """Return the weighted mean squared residual of these records."""
        observed = self.training_set.mask[rows] * self.training_set.weights
        squares = (self.residuals[:, rows] ** 2).mean(axis=0) * observed
        return float(squares.sum() / max(observed.sum(), TINY))

    def space(self, tried: Rows, chosen: Rows, related: Rows | None = None) -> Space:
        """Return a space that is whitened by the `tried` records and has `chosen` prototypes.

        Args:
            tried: rows of the records for whitening.
            chosen: rows of the prototypes.
            related: rows of the records that relations are fitted to; by default `tried`.
        """
        training_set, weights = self.training_set, self.training_set.weights
        whitening = self.whitening(tried)
        no_points = Prototypes(points=np.zeros((0, 2 * len(weights)), dtype=np.float32))
        bare = Space(
            weights=weights,
            whitening=whitening,
            usual=_usual(self.residuals[:, tried], training_set.mask[tried], whitening, weights),
            prototypes=no_points,
            joint=no_points,
            densities=np.zeros(0, dtype=np.float32),
            vouchers=1 if training_set.trusted is None else max(1, len(chosen) // VOUCHED_BY),
        )
        points = self.filled[chosen]
        prototypes = Prototypes(points=bare.scaled(points))
        densities, joint = bare.densities, no_points
        if "density" in self.plan.measures:
            k, own = min(NEIGHBOURS, len(points) - 1), np.arange(len(points))
            distances, _ = prototypes.nearest(prototypes.points, k=k, without=own)
            seen = np.ones(points.shape, dtype=bool)
            densities = bare.logarithms(distances, seen).mean(axis=1).astype(np.float32)
        if "joint" in self.plan.measures:
            whitened = self.residuals[:, chosen].mean(axis=0) @ whitening
            joint = Prototypes(points=bare.beside(points, whitened))
        relations = None
        if self.shrinkage is not None:
            relations = self.relations(tried if related is None else related, chosen)
        return replace(
            bare,
            prototypes=prototypes,
            joint=joint,
            densities=densities,
            relations=relations,
        )

    def relations(self, tried: Rows, chosen: Rows) -> Relations:
        """Return the relations of the `tried` records, with the `chosen` records for comparison."""
        points = self.filled[chosen] if "whitened" in self.plan.measures else None
        weights = self.training_set.weights
        return fit_relations(self.filled[tried], weights, self.shrinkage or 0.0, points)


def _shrinkage(training_set: TrainingSet, held_out: HeldOut, plan: ScoringPlan) -> float | None:
    """Return the shrinkage of the relations; None if the plan does not use relations."""
    if not {"relation", "whitened"}.intersection(plan.measures):
        return None
    return choose_shrinkage(held_out.filled[training_set.trusted_rows], training_set.weights)


def _usual(residuals: Floats, mask: Mask, whitening: Floats, weights: Floats) -> Floats:
    """Return the mean error (F,) of each feature, scaled so that the sum is the sum of weights."""
    errors = reconstruction_errors(residuals, mask, whitening, weights)
    means = errors.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    total = float(means.sum())
    if total <= 0:
        return weights
    usual: Floats = means * (weights.sum() / total)
    return usual
