"""The scorer: computes one score for each record, and the part of each feature in the score."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.scoring.combining import View, mean_surprise
from aemon.detection.scoring.normal_space import BLOCK_RECORDS, USUAL_GAP, Measures, Space
from aemon.detection.scoring.outline import Outline
from aemon.detection.scoring.residuals import FILL_ROUNDS, Residuals, residuals_of

FARTHEST = 600.0
"""Largest logarithm of a score."""


class Parts(NamedTuple):
    """Scores of N records, with the part of each feature in the score."""

    scores: Values  # (N,)
    errors: Floats  # (N, F), squared gap of the record in usual gaps, distributed by blame
    reconstruction: Floats  # (N, F)


class _Seen(NamedTuple):
    """Measures and scores of N records, with the values from which they were computed."""

    guessed: Floats  # (N, F), features; missing cells filled from similar normal records
    left: Residuals
    measures: Measures
    own: Values  # (N,), scores by the views
    guarded: Values  # (N,), scores by the guards
    farthest: Rows  # (N,), place of the guard with the highest score

    @property
    def scores(self) -> Values:
        """Scores (N,) of the records: the higher of the scores by the views and by the guards."""
        scores: Values = np.maximum(self.own, self.guarded)
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class Guard:
    """A rule that flags records whose measure is higher than the measures of all normal records.

    The rule does not depend on the reconstruction, because autoencoders reconstruct some far
    anomalies perfectly (Bouman & Heskes 2025).

    Attributes:
        radius: largest measure of a normal record, a logarithm.
        ceiling: largest score of a held-out normal record.
        measure: name of the measure, by default the distance to the nearest normal record.
    """

    radius: float
    ceiling: float
    measure: str = "neighbour"

    def scores(self, values: Values) -> Values:
        """Return lower bounds (N,) of scores, from measures (N,); 0 for records in the radius."""
        beyond = np.clip(values - self.radius, 0.0, FARTHEST)
        scores: Values = np.where(beyond > 0, self.ceiling * np.exp(beyond), 0.0)
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class Scorer:
    """Computes a score for each record; a higher score is more unusual. Made by `fit_scorer`.

    With a single view, the measure of the view is the score, and guards flag records that the view
    does not show. With several views, the mean of their surprises is computed. The score is then
    the measure that has this surprise in a view with the mean start and the mean scale of all
    views. So every score is a squared distance, at most about 1 for a usual record.

    Attributes:
        autoencoder: converts features to their reconstruction.
        space: space of normal records.
        views: one or several views.
        guards: guards, each with a measure such as the distance to normal records.
        outline: coarse estimate of a record.
    """

    autoencoder: Autoencoder
    space: Space
    views: tuple[View, ...]
    guards: tuple[Guard, ...]
    outline: Outline

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the measures that views and guards need, each once."""
        guarding = (guard.measure for guard in self.guards)
        return tuple(dict.fromkeys([*(view.name for view in self.views), *guarding]))

    def scores(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        *,
        rounds: int = FILL_ROUNDS,
        without_itself: bool = False,
        enough: Values | None = None,
    ) -> Values:
        """Return scores (N,) of features, computed in blocks of records.

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), True for observed cells.
            rounds: number of times that missing cells are filled in.
            without_itself: whether training records are compared with all other records but not
                with themselves, as in the calibration of the threshold. The distance from a record
                to itself is 0, so the record would never be unusual.
            enough: (N,) scores up to which the exact value is not needed. If a comparison with few
                prototypes shows that the score of a record is not above `enough`, the record is not
                compared with the other prototypes.
        """
        found = np.zeros(len(X))
        for start in range(0, len(X), BLOCK_RECORDS):
            block = slice(start, start + BLOCK_RECORDS)
            if enough is None or "density" in self.wanted:
                found[block] = self._look(
                    X[block], mask[block], rounds, without_itself=without_itself
                ).scores
            else:
                found[block] = self._scores_beyond(enough[block], X[block], mask[block], rounds)
        return found

    def _scores_beyond(self, enough: Values, X: Floats, mask: Mask, rounds: int) -> Values:  # noqa: N803
        """Return scores (N,) of a block; scores above `enough` (N,) are exact."""
        guessed = self.space.guess(X, mask)
        left = residuals_of(self.autoencoder, guessed, mask, rounds=rounds)
        found = self._measured(self.space.rough, X, mask, guessed, left).scores
        rows = np.flatnonzero(found > enough)
        if rows.size:
            part = Residuals(left.residuals[:, rows], left.reconstruction[rows])
            seen = self._measured(self.space, X[rows], mask[rows], guessed[rows], part)
            found[rows] = seen.scores
        return found

    def parts(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        *,
        rounds: int = FILL_ROUNDS,
        made_of: Floats | None = None,
    ) -> Parts:
        """Return the scores of a few records, with the part of each feature.

        Blame has two sources: the gaps from which the score is computed, and the gap to the
        outline. (Wrong values hardly change the outline. If the gap to the entity's mean is larger
        than the gap to the outline, the gap to the mean is used.) The share of a feature is the
        geometric mean of its shares by both sources, with double weight for the second source. The
        errors of a record add up to the squared gap of the second source.

        Alone, the gaps of the score name 56 % of the true causes of SMD, and the outline 75 %. In
        AI4I, a true cause comes first in 79 % with the score's gaps, in 82 % with the outline, and
        in 89 % with both.

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), True for observed cells.
            rounds: number of times that missing cells are filled in.
            made_of: (N, F) squared gaps from which the score is computed; by default the gaps of
                the views.
        """
        seen = self._look(X, mask, rounds)
        shares = self._shares_of_score(X, mask, seen) if made_of is None else _shares(made_of)
        coarse = self.outline.errors(seen.guessed, mask)
        coarse = np.maximum(coarse, self.space.gaps_to_context(seen.guessed, mask))
        both = _shares(np.cbrt(shares * _shares(coarse) ** 2))
        shared = both.any(axis=1, keepdims=True)
        if made_of is not None:  # the outline does not show an unusual order of usual values
            shared &= coarse.max(axis=1, keepdims=True) > USUAL_GAP
        shares = np.where(shared, both, shares)
        size = coarse.sum(axis=1, keepdims=True)
        return Parts(seen.scores, shares * size, seen.left.reconstruction)

    def _shares_of_score(self, X: Floats, mask: Mask, seen: _Seen) -> Floats:  # noqa: N803
        """Return the share (N, F) of each feature in the scores, by the views or by a guard."""
        shares = self._shares(X, mask, seen.left.residuals, seen.measures)
        for place, guard in enumerate(self.guards):
            rows = (seen.guarded > seen.own) & (seen.farthest == place)
            if rows.any():
                gaps = self._gaps(guard.measure, X, mask, seen.left.residuals, seen.measures)
                shares = np.where(rows[:, None], _shares(gaps), shares)
        return shares

    def _look(self, X: Floats, mask: Mask, rounds: int, *, without_itself: bool = False) -> _Seen:  # noqa: N803
        guessed = self.space.guess(X, mask)
        left = residuals_of(self.autoencoder, guessed, mask, rounds=rounds)
        without = self.space.own_prototypes(X, mask) if without_itself else None
        return self._measured(self.space, X, mask, guessed, left, without)

    def _measured(
        self,
        space: Space,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        guessed: Floats,
        left: Residuals,
        without: Rows | None = None,
    ) -> _Seen:
        """Return measures and scores of N records, compared with the normal records of a space."""
        measures = space.measure(X, mask, left.residuals, self.wanted, without=without)
        own = combine(self.views, measures.values)
        guarded = np.stack([guard.scores(measures.values[guard.measure]) for guard in self.guards])
        return _Seen(guessed, left, measures, own, guarded.max(axis=0), guarded.argmax(axis=0))

    def _shares(self, X: Floats, mask: Mask, residuals: Floats, measures: Measures) -> Floats:  # noqa: N803
        """Return the share (N, F) of each feature in the measures of the views."""
        _, parts = mean_surprise(self.views, measures.values)
        total = np.zeros_like(X)
        for place, view in enumerate(self.views):
            gaps = self._gaps(view.name, X, mask, residuals, measures)
            total += parts[:, place : place + 1].astype(np.float32) * _shares(gaps)
        return total

    def _gaps(
        self,
        name: str,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        residuals: Floats,
        measures: Measures,
    ) -> Floats:
        """Return the squared gaps (N, F) from which a measure is computed."""
        if name == "residual":
            return measures.errors
        if name == "joint":
            return self.space.joint_gaps(X, mask, residuals, measures.joint)
        if name == "relation" and measures.related is not None:
            return measures.related.whitened**2 * mask
        if name == "whitened" and measures.related is not None:
            return self.space.related_gaps(mask, measures.related)
        return self.space.gaps(X, mask, measures.nearest)


def combine(views: tuple[View, ...], values: dict[str, Values]) -> Values:
    """Return scores (N,) from measures (N,), which are given by name."""
    if len(views) == 1:
        return np.exp(np.minimum(values[views[0].name], FARTHEST))
    surprise, _ = mean_surprise(views, values)
    return scores_of_surprise(views, surprise)


def scores_of_surprise(views: tuple[View, ...], surprise: Values) -> Values:
    """Return scores (N,) for mean surprises (N,) of the views.

    A score is a squared distance, about 1 for a usual record.
    """
    scale = float(np.mean([view.scale for view in views]))
    start = float(np.mean([view.start for view in views]))
    usual = float(np.mean([view.surprise(np.array([view.start]))[0] for view in views]))
    scores: Values = np.exp(np.minimum(start + scale * (surprise - usual), FARTHEST))
    return scores


def _shares(gaps: Floats) -> Floats:
    """Return rows (N, F) divided by their sums; 0 where the sum is 0."""
    total = gaps.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(gaps, total, out=np.zeros_like(gaps), where=total > 0)
    return shares
