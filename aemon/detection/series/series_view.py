"""How odd a record is beside those before it: the residual of a window, smoothed over records.

And what it is alone counts, too, a little less.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Values
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.scoring.combining import View
from aemon.detection.scoring.scorer import scores_of_surprise
from aemon.detection.series.seasons import Season
from aemon.detection.series.tails import Tails
from aemon.detection.series.windows import SMOOTHED, Times, Windows, runs_of

TINY = 1e-9  # keeps a logarithm finite

SEASON_SHARE, ALONE_SHARE = 0.2, 0.05
"""Of the false alarms that are allowed, those for what is usual at a time, and for what a record is
alone. (Each side is held to its share, as Bonferroni corrects. On plants and servers windows alone
are best; a half each for windows and records costs up to 6 % of AP, this share 0.3 %; and what no
line through windows shows is still found.)"""

BLOCK_RECORDS = 4_096
"""Windows worked on at once."""


class InSeries(NamedTuple):
    """What was seen of N records beside those before them."""

    surprises: Values  # (N,) in nats
    by_season: Mask  # (N,) whether what is usual at their time says most
    gaps: Floats  # (N, F), squared, in usual gaps, of a record and those before it
    expected: Floats  # (N, F), features as the windows lead to expect
    tails: Tails  # what they leave behind for the next ones

    def silent(self) -> "InSeries":
        """Return the same, where nothing is to be said of the records' order."""
        count = len(self.surprises)
        return self._replace(surprises=np.zeros(count), by_season=np.zeros(count, dtype=bool))

    def take(self, rows: Rows | Mask) -> "InSeries":
        """Return what was seen of the records at these rows."""
        return InSeries(
            self.surprises[rows],
            self.by_season[rows],
            self.gaps[rows],
            self.expected[rows],
            self.tails,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesView:
    """Windows of records, each held against its reconstruction. Made by `fit_series`.

    A record's own gaps count as much as those of the whole window: it is the one that is judged,
    and a spike must not flag those after it. For the same reason a record far out is no past of
    those after it, and no record's surprise counts without bound in the mean.

    Attributes:
        width: records in a window, W.
        longest_gap: in time, between two records of a run.
        means: (F,) the middle of the features.
        slopes: (F, F) what the context tells of them, as in `Relations`.
        lows: (F,) how far the cells before a record may lie, about their middle.
        highs: (F,)
        weights: (F,) of the features; only those with some have a part.
        autoencoder: linear, of windows of the features with weight (W x J).
        spreads: (W, F) usual gaps, at least a floor.
        view: of the logarithm of the mean squared gap.
        record_threshold: what a score of the record alone is held against.
        together: of the smoothed surprises; None in detectors of before, for which these are all.
        alone: of the logarithm of the score of a record alone.
        season: what a rhythm leads to expect; None where there is none.
    """

    width: int
    longest_gap: np.timedelta64
    means: Floats
    slopes: Floats
    lows: Floats
    highs: Floats
    weights: Floats
    autoencoder: Autoencoder
    spreads: Floats
    view: View
    record_threshold: float
    together: View | None = None
    alone: View | None = None
    season: Season | None = None

    @property
    def context_rows(self) -> int:
        """Return how many records before one it is seen beside, and smoothed with."""
        return self.width - 1 + SMOOTHED - 1

    def look(
        self,
        features: Floats,
        mask: Mask,
        entities: Texts,
        times: Times,
        before: Tails | None = None,
    ) -> InSeries:
        """See N records beside those before them.

        Args:
            features: (N, F), missing cells filled with a guess.
            mask: (N, F), which cells were observed.
            entities: (N,) what each record belongs to.
            times: (N,) event times.
            before: what the records before these left behind.
        """
        runs = runs_of(entities, times, self.longest_gap, before)
        centred = self.centred(features, mask, times)
        gaps, expected = np.zeros_like(centred), features.copy()
        logs = np.zeros(len(centred))
        windows = runs.windows(centred, self.width)
        for start in range(0, len(centred), BLOCK_RECORDS):
            block = slice(start, start + BLOCK_RECORDS)
            part = self.held_in(Windows(windows.cells[block], windows.there[block]))
            residuals = window_residuals(self.autoencoder, part.cells, self.weights)
            expected[block] -= residuals[:, :, 0].mean(axis=0)
            squares = (residuals**2).mean(axis=0)
            gaps[block], logs[block] = self.measured(squares, part.there, mask[block], self.spreads)
        surprises = self.view.surprise(logs).astype(np.float32).astype(np.float64)
        newer = runs.tails_after(centred, surprises, times, self.width)
        found, by_season = self.joined(runs.smoothed(surprises), centred, mask)
        if self.season is not None and by_season.any():
            gaps[by_season], _ = self.season.measured(centred[by_season], mask[by_season])
            expected[by_season] = (features - centred)[by_season]
        return InSeries(
            surprises=found,
            by_season=by_season,
            gaps=gaps,
            expected=expected,
            tails=(before or Tails()).with_newer(newer),
        )

    def centred(self, features: Floats, mask: Mask, times: Times) -> Floats:
        """Features (N, F) about what is usual of their entity at their time; 0 without weight."""
        gaps = features - self.means
        gaps -= (gaps * mask) @ self.slopes
        gaps *= self.weights > 0
        return gaps if self.season is None else gaps - self.season.at(times)

    def held_in(self, windows: Windows) -> Windows:
        """Windows without the records before that are farther out than anything like the training.

        In their place stands the next newer one, as where there is none.
        """
        cells, there = windows.cells.copy(), windows.there.copy()
        outside: Mask = np.any((cells < self.lows) | (cells > self.highs), axis=2)
        for lag in range(1, self.width):
            rows = outside[:, lag]
            cells[rows, lag] = cells[rows, lag - 1]
            there[rows, lag] = False
        return Windows(cells, there)

    def measured(
        self, squares: Floats, there: Mask, mask: Mask, spreads: Floats
    ) -> tuple[Floats, Values]:
        """Gaps (N, F) in usual gaps, and the logarithm (N,) of their mean.

        Args:
            squares: (N, W, F) of residuals.
            there: (N, W).
            mask: (N, F).
            spreads: (W, F).
        """
        seen = there.astype(np.float32)
        seen /= self.width
        seen[:, 0] += 1.0
        parts = squares / spreads**2 * seen[:, :, None]
        parts[:, 0] *= mask
        gaps: Floats = (parts.sum(axis=1) * self.weights).astype(np.float32)
        observed = seen[:, 0] * (mask @ self.weights) + seen[:, 1:].sum(axis=1) * self.weights.sum()
        logs = np.log(np.maximum(gaps.sum(axis=1) / np.maximum(observed, TINY), TINY))
        return gaps, logs.astype(np.float64)

    def joined(self, smoothed: Values, centred: Floats, mask: Mask) -> tuple[Values, Mask]:
        """Surprises (N,) of windows and season, and where the season says more (N,).

        Args:
            smoothed: (N,) surprises of the windows.
            centred: (N, F) features about what is usual at their time.
            mask: (N, F), which cells were observed.
        """
        found = smoothed if self.together is None else self.together.surprise(smoothed)
        if self.season is None:
            return found, np.zeros(len(found), dtype=bool)
        _, logs = self.season.measured(centred, mask)
        of_season = self.season.view.surprise(logs) + np.log(SEASON_SHARE)
        return np.maximum(found, of_season), np.asarray(of_season > found, dtype=bool)

    def times_told(self, times: Times, by_season: Mask) -> list[str]:
        """Say in words which times (N,) are, where the season says most; empty elsewhere."""
        if self.season is None:
            return [""] * len(times)
        pairs = zip(times, by_season.tolist(), strict=True)
        return [self.season.label(time) if told else "" for time, told in pairs]

    def scores(self, surprises: Values, alone: Values) -> Values:
        """Scores (N,): a squared distance again, about 1 for a usual record.

        Args:
            surprises: (N,) of windows and season.
            alone: (N,) scores of the records alone.
        """
        nats = np.maximum(surprises, self._of_record(alone))
        return scores_of_surprise((self.view,), nats)

    def told_by_season(self, seen: InSeries, alone: Values) -> Mask:
        """Which of N records are best told by their time: it says more than all else.

        Args:
            seen: the records.
            alone: (N,) their scores alone.
        """
        return np.asarray(seen.by_season & (seen.surprises >= self._of_record(alone)), dtype=bool)

    def _of_record(self, alone: Values) -> Values:
        """What the scores (N,) of records alone say beside the rest, in nats."""
        if self.alone is None:
            return np.zeros(len(alone))
        surprises = self.alone.surprise(np.log(np.maximum(alone, TINY)))
        return np.asarray(surprises + np.log(ALONE_SHARE))


def window_residuals(autoencoder: Autoencoder, cells: Floats, weights: Floats) -> Floats:
    """Residuals (M, N, W, F) of windows, of each member; 0 without weight.

    Args:
        autoencoder: of windows of the features with weight.
        cells: (N, W, F).
        weights: (F,).
    """
    judged = np.flatnonzero(weights > 0)
    flat = cells[:, :, judged].reshape(len(cells), -1)
    residuals = flat - autoencoder(flat)
    if len(judged) == len(weights):
        return residuals.reshape(-1, *cells.shape)
    found = np.zeros((len(residuals), *cells.shape), dtype=np.float32)
    found[..., judged] = residuals.reshape(-1, *cells.shape[:2], len(judged))
    return found
