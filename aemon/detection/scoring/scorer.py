"""The scorer: from features to one score a record, and each feature's part in it."""

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
"""Bounds the logarithm of a score."""


class Parts(NamedTuple):
    """The scores of N records, taken apart."""

    scores: Values  # (N,)
    errors: Floats  # (N, F), squared gaps in usual gaps, shared out by blame
    reconstruction: Floats  # (N, F)


class _Seen(NamedTuple):
    """All there is to see of N records at once."""

    guessed: Floats  # (N, F), features with missing cells as in records alike
    left: Residuals
    measures: Measures
    own: Values  # (N,), scores by the views
    guarded: Values  # (N,), scores by the guards
    farthest: Rows  # (N,), which guard's it is

    @property
    def scores(self) -> Values:
        """Scores (N,) by both."""
        scores: Values = np.maximum(self.own, self.guarded)
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class Guard:
    """A record unlike anything seen is odd, even where the autoencoder happens to extend to it.

    Autoencoders reconstruct some far anomalies perfectly (Bouman & Heskes 2025).

    Attributes:
        radius: what the oddest normal record measures, a logarithm.
        ceiling: the largest score of a held-out normal record.
        measure: by what: the distance to the nearest normal record, or another.
    """

    radius: float
    ceiling: float
    measure: str = "neighbour"

    def scores(self, values: Values) -> Values:
        """The least scores (N,) of records that measure so much; 0 within the radius."""
        beyond = np.clip(values - self.radius, 0.0, FARTHEST)
        scores: Values = np.where(beyond > 0, self.ceiling * np.exp(beyond), 0.0)
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class Scorer:
    """How odd records are. Made by `fit_scorer`.

    With one view, its measure is the score, and guards see to what that view is blind to.
    Several are averaged by their surprise; the score is then what a mean view would measure of
    a record as surprising, so that it still reads as a squared distance, 1 and less for a usual
    record.

    Attributes:
        autoencoder: from features to their reconstruction.
        space: where normal records lie.
        views: of what is measured, one or several.
        guards: for the distance to anything seen.
        outline: what a coarse expectation makes of a record.
    """

    autoencoder: Autoencoder
    space: Space
    views: tuple[View, ...]
    guards: tuple[Guard, ...]
    outline: Outline

    @property
    def wanted(self) -> tuple[str, ...]:
        """The measures that are taken of a record."""
        guarding = (guard.measure for guard in self.guards)
        return tuple(dict.fromkeys([*(view.name for view in self.views), *guarding]))

    def scores(
        self,
        X: Floats,  # noqa: N803 -- (N, F)
        mask: Mask,
        *,
        rounds: int = FILL_ROUNDS,
        apart: bool = False,
        enough: Values | None = None,
    ) -> Values:
        """Scores (N,) of features, a block of records at a time.

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), which cells were observed.
            rounds: how often missing cells are filled in.
            apart: whether a record that was learned from is held against the others alone, as
                the threshold was calibrated. It lies at distance 0 from itself, so that it would
                never look odd.
            enough: (N,) scores up to which it does not matter what they are: any as low will do.
                Where a few prototypes show that a record is so near to normal ones, the others
                are not asked.
        """
        found = np.zeros(len(X))
        for start in range(0, len(X), BLOCK_RECORDS):
            block = slice(start, start + BLOCK_RECORDS)
            if enough is None or "density" in self.wanted:
                found[block] = self._look(X[block], mask[block], rounds, apart=apart).scores
            else:
                found[block] = self._scores_beyond(enough[block], X[block], mask[block], rounds)
        return found

    def _scores_beyond(self, enough: Values, X: Floats, mask: Mask, rounds: int) -> Values:  # noqa: N803
        """Scores (N,) of a block, exact where they may be more than is enough (N,)."""
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
        """The scores of a few records, taken apart.

        A feature is to blame as far as both say so: what the score is made of, and the gap to
        the outline, which is not misled by the very values it is to judge. So shares are the
        geometric mean of the two, the outline counting double (or the gap to what the entity lives
        at, where that is larger), and a record's errors add up to
        its squared gap to the outline. (Alone, the former names 56 % of the true causes of SMD,
        the latter 75 %; of AI4I a true cause comes first in 79 % and 82 %, together in 89 %.)

        Args:
            X: (N, F), 0 where missing.
            mask: (N, F), which cells were observed.
            rounds: how often missing cells are filled in.
            made_of: (N, F) squared gaps that the score is made of, if not by the views.
        """
        seen = self._look(X, mask, rounds)
        shares = self._shares_of_score(X, mask, seen) if made_of is None else _shares(made_of)
        coarse = self.outline.errors(seen.guessed, mask)
        coarse = np.maximum(coarse, self.space.gaps_to_context(seen.guessed, mask))
        both = _shares(np.cbrt(shares * _shares(coarse) ** 2))
        told = both.any(axis=1, keepdims=True)
        if made_of is not None:  # of usual values in an unusual order, an outline tells nothing
            told &= coarse.max(axis=1, keepdims=True) > USUAL_GAP
        shares = np.where(told, both, shares)
        size = coarse.sum(axis=1, keepdims=True)
        return Parts(seen.scores, shares * size, seen.left.reconstruction)

    def _shares_of_score(self, X: Floats, mask: Mask, seen: _Seen) -> Floats:  # noqa: N803
        """Each feature's share (N, F) in the scores, by the views or by a guard."""
        shares = self._shares(X, mask, seen.left.residuals, seen.measures)
        for place, guard in enumerate(self.guards):
            rows = (seen.guarded > seen.own) & (seen.farthest == place)
            if rows.any():
                gaps = self._gaps(guard.measure, X, mask, seen.left.residuals, seen.measures)
                shares = np.where(rows[:, None], _shares(gaps), shares)
        return shares

    def _look(self, X: Floats, mask: Mask, rounds: int, *, apart: bool = False) -> _Seen:  # noqa: N803
        guessed = self.space.guess(X, mask)
        left = residuals_of(self.autoencoder, guessed, mask, rounds=rounds)
        without = self.space.own_prototypes(X, mask) if apart else None
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
        """All there is to see of N records in a space."""
        measures = space.measure(X, mask, left.residuals, self.wanted, without=without)
        own = combine(self.views, measures.values)
        guarded = np.stack([guard.scores(measures.values[guard.measure]) for guard in self.guards])
        return _Seen(guessed, left, measures, own, guarded.max(axis=0), guarded.argmax(axis=0))

    def _shares(self, X: Floats, mask: Mask, residuals: Floats, measures: Measures) -> Floats:  # noqa: N803
        """Each feature's share (N, F) in what the views measured."""
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
        """Squared gaps (N, F) that a measure is made of."""
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
    """Scores (N,) of measures (N,) by name."""
    if len(views) == 1:
        return np.exp(np.minimum(values[views[0].name], FARTHEST))
    surprise, _ = mean_surprise(views, values)
    return scores_of_surprise(views, surprise)


def scores_of_surprise(views: tuple[View, ...], surprise: Values) -> Values:
    """Scores (N,) of the mean surprise (N,) of views: a squared distance, about 1 where usual."""
    scale = float(np.mean([view.scale for view in views]))
    start = float(np.mean([view.start for view in views]))
    usual = float(np.mean([view.surprise(np.array([view.start]))[0] for view in views]))
    scores: Values = np.exp(np.minimum(start + scale * (surprise - usual), FARTHEST))
    return scores


def _shares(gaps: Floats) -> Floats:
    """Rows (N, F) divided by their sums; 0 where a row has none."""
    total = gaps.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(gaps, total, out=np.zeros_like(gaps), where=total > 0)
    return shares
