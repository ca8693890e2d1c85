"""How odd a record is beside those before it: residuals of windows, smoothed over records.

And what it is alone counts, too, a little less.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Floats, Mask, Rows, Texts, Times, Values
from aemon.detection.scoring.combining import View
from aemon.detection.scoring.scorer import FARTHEST, scores_of_surprise
from aemon.detection.series.levels import BLOCK_RECORDS, EARLIER_BLOCKS, LevelTail
from aemon.detection.series.residual_view import TINY, Reconstructed, ResidualView
from aemon.detection.series.room import Room
from aemon.detection.series.seasons import Season
from aemon.detection.series.tails import Tails
from aemon.detection.series.windows import SMOOTHED, Runs, Windows, runs_of

SEASON_SHARE, ALONE_SHARE = 0.2, 0.05
"""Of the false alarms that are allowed, those for what is usual at a time, and for what a record is
alone. (Each side is held to its share, as Bonferroni corrects. On plants and servers windows alone
are best; a half each for windows and records costs up to 6 % of AP, this share 0.3 %; and what no
line through windows shows is still found.)"""

PLAINLY_SHARE = 0.5
"""Of the surprise of windows: where the time of day alone says as much, it is the plainer reason."""

AT_ONCE = 4_096
"""Windows worked on at once."""


class InSeries(NamedTuple):
    """What was seen of N records beside those before them."""

    surprises: Values  # (N,) in nats
    by_season: Mask  # (N,) whether what is usual at their time says most
    gaps: Floats  # (N, F), squared, in usual gaps, of a record and those before it
    expected: Floats  # (N, F), features as the windows lead to expect
    tails: Tails  # what they leave behind for the next ones
    raw: Values  # (N,) surprises in nats before they are smoothed over the records of a run

    def silent(self) -> "InSeries":
        """Return the same, where nothing is to be said of the records' order."""
        count = len(self.surprises)
        nothing = np.zeros(count)
        return self._replace(surprises=nothing, raw=nothing, by_season=np.zeros(count, dtype=bool))

    def take(self, rows: Rows | Mask) -> "InSeries":
        """Return what was seen of the records at these rows."""
        return InSeries(
            self.surprises[rows],
            self.by_season[rows],
            self.gaps[rows],
            self.expected[rows],
            self.tails,
            self.raw[rows],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelView:
    """Windows of records beside their gaps to the level of their run.

    Attributes:
        block: how long a block of time is, of which levels are made.
        scale: (F,) spreads of the gaps.
        windows: of the features and, behind them, the scaled gaps (2F).
    """

    block: np.timedelta64
    scale: Floats
    windows: ResidualView


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesView:
    """Windows of records, each held against its reconstruction. Made by `fit_series`.

    Windows are seen twice: as they are, and beside how far each record is from the level of its
    run; the mean of both surprises counts. A spike must not flag the records after it: so a record
    far out is no past of theirs, and no record's surprise counts without bound in the mean.

    Attributes:
        width: records in a window, W.
        longest_gap: in time, between two records of a run.
        means: (F,) the middle of the features.
        slopes: (F, F) what the context tells of them, as in `Relations`.
        room: how far out a record may be and still be a past of others.
        weights: (F,) of the features; only those with some have a part.
        windows: of the features.
        record_threshold: what a score of the record alone is held against.
        together: of the smoothed surprises; None in detectors of before, for which these are all.
        alone: of the logarithm of the score of a record alone.
        season: what a rhythm leads to expect; None where there is none.
        levels: windows beside levels; None in detectors of before, and where there is no room.
        taught: what the records that were learned from leave behind; of nobody in detectors of before.
    """

    width: int
    longest_gap: np.timedelta64
    means: Floats
    slopes: Floats
    room: Room
    weights: Floats
    windows: ResidualView
    record_threshold: float
    together: View | None = None
    alone: View | None = None
    season: Season | None = None
    levels: LevelView | None = None
    taught: Tails = field(default_factory=Tails)

    @property
    def context_rows(self) -> int:
        """Return how many records before one it is seen beside, and smoothed with."""
        level = 0 if self.levels is None else BLOCK_RECORDS * (EARLIER_BLOCKS + 1)
        return self.width - 1 + SMOOTHED - 1 + level

    def look(
        self,
        features: Floats,
        mask: Mask,
        entities: Texts,
        times: Times,
        before: Tails | None = None,
        stretches: npt.NDArray[np.int64] | None = None,
    ) -> InSeries:
        """See N records beside those before them.

        Args:
            features: (N, F), missing cells filled with a guess.
            mask: (N, F), which cells were observed.
            entities: (N,) what each record belongs to.
            times: (N,) event times.
            before: what the records before these left behind.
            stretches: (N,) of operation; None where there is but one.
        """
        runs = runs_of(entities, times, self.longest_gap, before, stretches)
        centred = self.centred(features, mask, times)
        cells, blocks = self.beside_levels(runs, centred, times)
        windows = runs.windows(cells, self.width)
        gaps, expected = np.zeros_like(centred), features.copy()
        surprises = np.zeros(len(centred))
        for start in range(0, len(centred), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            part = self.room.held_in(Windows(windows.cells[block], windows.there[block]))
            surprises[block], gaps[block], residuals = self._seen(part, mask[block])
            expected[block] -= residuals
        surprises = surprises.astype(np.float32).astype(np.float64)
        newer = runs.tails_after(cells, surprises, times, self.width, blocks)
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
            raw=self.joined(surprises, centred, mask)[0],
        )

    def centred(self, features: Floats, mask: Mask, times: Times) -> Floats:
        """Features (N, F) about what is usual of their entity at their time; 0 without weight."""
        gaps = features - self.means
        gaps -= (gaps * mask) @ self.slopes
        gaps *= self.weights > 0
        return gaps if self.season is None else gaps - self.season.at(times)

    def beside_levels(
        self, runs: Runs, centred: Floats, times: Times
    ) -> tuple[Floats, list[LevelTail] | None]:
        """Centred features, with scaled gaps to levels behind them where those are seen.

        Args:
            runs: of the N records.
            centred: (N, F).
            times: (N,).

        Returns:
            (N, F) or (N, 2F); and the last blocks of each entity.
        """
        if self.levels is None:
            return centred, None
        inside = self.room.holds(centred)
        gaps, blocks = runs.levels(centred, inside, times, self.levels.block)
        return np.concatenate([centred, gaps / self.levels.scale], axis=1), blocks

    def _seen(self, windows: Windows, mask: Mask) -> Reconstructed:
        """See N windows by both views: the mean surprise, gaps (N, F), and residuals (N, F)."""
        width = mask.shape[1]
        found = self.windows.look(windows._replace(cells=windows.cells[:, :, :width]), mask)
        if self.levels is None:
            return found
        both = self.levels.windows.look(windows, np.concatenate([mask, mask], axis=1))
        gaps = [found.gaps, both.gaps[:, :width], both.gaps[:, width:]]
        away = both.residuals[:, width:] * self.levels.scale
        residuals = np.stack([found.residuals, both.residuals[:, :width], away])
        most = np.argmax(gaps, axis=0)[None]  # what misses a cell most says what was expected
        told: Floats = np.take_along_axis(residuals, most, axis=0)[0]
        return Reconstructed((found.surprises + both.surprises) / 2, np.sum(gaps, axis=0), told)

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
        by_season = of_season > np.maximum(PLAINLY_SHARE * found, 0.0)
        return np.maximum(found, of_season), np.asarray(by_season, dtype=bool)

    def season_labels(self, times: Times, by_season: Mask) -> list[str]:
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
        return scores_of_surprise((self.windows.view,), nats)

    def explained_by_season(self, seen: InSeries, alone: Values) -> Mask:
        """Which of N records are best told by their time: it says more than all else.

        Args:
            seen: the records.
            alone: (N,) their scores alone.
        """
        return np.asarray(seen.by_season & (seen.surprises >= self._of_record(alone)), dtype=bool)

    def enough(self, surprises: Values) -> Values:
        """Scores (N,) of records alone, up to which they say nothing beside the rest.

        Args:
            surprises: (N,) of windows and season.
        """
        if self.alone is None:
            return np.full(len(surprises), np.inf)
        logs = self.alone.value(surprises - np.log(ALONE_SHARE)) - TINY
        return np.asarray(np.exp(np.minimum(logs, FARTHEST)))

    def _of_record(self, alone: Values) -> Values:
        """What the scores (N,) of records alone say beside the rest, in nats."""
        if self.alone is None:
            return np.zeros(len(alone))
        surprises = self.alone.surprise(np.log(np.maximum(alone, TINY)))
        return np.asarray(surprises + np.log(ALONE_SHARE))
