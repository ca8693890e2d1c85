"""The series view: measures how unusual a record is after the earlier records of its entity.

The measure is the surprise at the residuals of the record's window. A surprise is about -ln of the
share of normal windows that are more unusual.

The surprises are smoothed over records. The score of the record alone also counts, with a small
share.
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
"""Shares of the allowed false alarms: for values that are unusual at their time of day or week, and
for records that are unusual without regard to earlier records. (Each part is limited to its share,
as in a Bonferroni correction. On plants and servers, the best results come from windows without
these parts. Equal shares for windows and single records cost up to 6 % of average precision, the
chosen share costs 0.3 %. With this share, anomalies that windows do not show are still found.)"""

PLAINLY_SHARE = 0.5
"""If the surprise by the season is more than this share of the surprise by the window, the season
is the explanation, because it is simpler."""

AT_ONCE = 4_096
"""Number of windows processed in one step."""


class InSeries(NamedTuple):
    """Results for N records, each judged together with earlier records."""

    surprises: Values  # (N,) in nats
    by_season: Mask  # (N,) True if the season explains the record better than the window
    gaps: Floats  # (N, F), squared gaps of a record and its earlier records, in usual gaps
    expected: Floats  # (N, F), features as predicted by the windows
    tails: Tails  # context for the next records
    raw: Values  # (N,) surprises in nats, not smoothed over the records of a run

    def silent(self) -> "InSeries":
        """Return these results with all surprises set to 0."""
        count = len(self.surprises)
        nothing = np.zeros(count)
        return self._replace(surprises=nothing, raw=nothing, by_season=np.zeros(count, dtype=bool))

    def take(self, rows: Rows | Mask) -> "InSeries":
        """Return the results for the records at these rows."""
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
    """View of windows in which each record also has its gaps to the level (see `levels`).

    Attributes:
        block: length of a block of time; a level is a mean over several blocks.
        scale: (F,) spreads of the gaps.
        windows: view of windows with 2F numbers for each record: features, then scaled gaps.
    """

    block: np.timedelta64
    scale: Floats
    windows: ResidualView


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesView:
    """View that compares each window of records with its reconstruction. Made by `fit_series`.

    Each window is measured in two ways: with the features alone, and with the features and their
    gaps to the level. The mean of both surprises is used. A spike must not flag the
    records after it. So a record that is far out of bounds is not used as context for later
    records, and surprises are bounded before they are averaged over records.

    Attributes:
        width: number of records in a window, W.
        longest_gap: longest time between two consecutive records of one run of records.
        means: (F,) means of the features.
        slopes: (F, F) effect of the context on the features, as in `Relations`.
        room: bounds of the records that can be context for later records.
        weights: (F,) weights of the features; features with weight 0 are ignored.
        windows: view of windows of the features.
        record_threshold: threshold for the score of a record without regard to earlier records.
        together: view that measures the smoothed surprises; None in old detectors, whose scores
            are the smoothed surprises alone.
        alone: view that measures the logarithm of the score of a record alone.
        season: expected values at each time of the day or of the week; None without a season.
        levels: view of windows with gaps to levels; None in old detectors, and if such windows
            would be too wide.
        training_tails: tails of the training records; empty in old detectors.
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
    training_tails: Tails = field(default_factory=Tails)

    @property
    def context_rows(self) -> int:
        """Number of earlier records that influence a record's window, smoothing and level."""
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
        """Judge N records together with their earlier records.

        Args:
            features: (N, F) features, with estimates in missing cells.
            mask: (N, F), True for observed cells.
            entities: (N,) entity of each record.
            times: (N,) event times.
            before: tails after the earlier records; None without earlier records.
            stretches: (N,) number of each record's period of operation; None for a single period.
        """
        runs = runs_of(entities, times, self.longest_gap, before, stretches)
        centred = self.centred(features, mask, times)
        cells, blocks = self.beside_levels(runs, centred, times)
        windows = runs.windows(cells, self.width)
        gaps, expected = np.zeros_like(centred), features.copy()
        surprises = np.zeros(len(centred))
        for start in range(0, len(centred), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            part = self.room.held_in(Windows(windows.cells[block], windows.present[block]))
            surprises[block], gaps[block], residuals = self._seen(part, mask[block])
            expected[block] -= residuals
        surprises = surprises.astype(np.float32).astype(np.float64)
        newer = runs.tails_after(cells, surprises, times, self.width, blocks)
        of_season = self.of_season(centred, mask)
        found, by_season = self.joined(runs.smoothed(surprises), of_season)
        if self.season is not None and by_season.any():
            gaps[by_season], _ = self.season.measured(centred[by_season], mask[by_season])
            expected[by_season] = (features - centred)[by_season]
        return InSeries(
            surprises=found,
            by_season=by_season,
            gaps=gaps,
            expected=expected,
            tails=(before or Tails()).with_newer(newer),
            raw=self.joined(surprises, of_season)[0],
        )

    def centred(self, features: Floats, mask: Mask, times: Times) -> Floats:
        """Return features (N, F) minus the usual values of the record's entity at this time.

        Features with weight 0 become 0.
        """
        gaps = features - self.means
        gaps -= (gaps * mask) @ self.slopes
        gaps *= self.weights > 0
        return gaps if self.season is None else gaps - self.season.at(times)

    def beside_levels(
        self, runs: Runs, centred: Floats, times: Times
    ) -> tuple[Floats, list[LevelTail] | None]:
        """Return centred features; if levels are used, scaled gaps to levels are appended.

        Args:
            runs: runs of the N records.
            centred: (N, F) features minus the usual values.
            times: (N,) event times.

        Returns:
            Features and gaps, (N, F) or (N, 2F); and the last blocks of each entity.
        """
        if self.levels is None:
            return centred, None
        inside = self.room.holds(centred)
        gaps, blocks = runs.levels(centred, inside, times, self.levels.block)
        return np.concatenate([centred, gaps / self.levels.scale], axis=1), blocks

    def _seen(self, windows: Windows, mask: Mask) -> Reconstructed:
        """Return results for N windows by both views of windows; surprises are averaged."""
        width = mask.shape[1]
        found = self.windows.look(windows._replace(cells=windows.cells[:, :, :width]), mask)
        if self.levels is None:
            return found
        both = self.levels.windows.look(windows, np.concatenate([mask, mask], axis=1))
        gaps = [found.gaps, both.gaps[:, :width], both.gaps[:, width:]]
        away = both.residuals[:, width:] * self.levels.scale
        residuals = np.stack([found.residuals, both.residuals[:, :width], away])
        most = np.argmax(gaps, axis=0)[None]  # the view with the largest gap decides
        largest: Floats = np.take_along_axis(residuals, most, axis=0)[0]
        return Reconstructed((found.surprises + both.surprises) / 2, np.sum(gaps, axis=0), largest)

    def of_season(self, centred: Floats, mask: Mask) -> Values | None:
        """Return how unusual each record (N,) is at its time of day or week, in nats.

        The result is the surprise plus ln(`SEASON_SHARE`), a negative number. So the season causes
        at most this share of the allowed false alarms. The result is None without a season.

        Args:
            centred: (N, F) features minus the usual values at the record's time.
            mask: (N, F), True for observed cells.
        """
        if self.season is None:
            return None
        _, logs = self.season.measured(centred, mask)
        return np.asarray(self.season.view.surprise(logs) + np.log(SEASON_SHARE))

    def joined(self, by_windows: Values, of_season: Values | None) -> tuple[Values, Mask]:
        """Return surprises (N,) by windows and season, and the mask (N,) `InSeries.by_season`.

        Args:
            by_windows: (N,) surprises by the windows, smoothed or not.
            of_season: (N,) surprises by the season; None without a season.
        """
        found = by_windows if self.together is None else self.together.surprise(by_windows)
        if of_season is None:
            return found, np.zeros(len(found), dtype=bool)
        by_season = of_season > np.maximum(PLAINLY_SHARE * found, 0.0)
        return np.maximum(found, of_season), np.asarray(by_season, dtype=bool)

    def season_labels(self, times: Times, by_season: Mask) -> list[str]:
        """Return the times (N,) as text where `by_season` is True, and empty text elsewhere."""
        if self.season is None:
            return [""] * len(times)
        pairs = zip(times, by_season.tolist(), strict=True)
        return [self.season.label(time) if explained else "" for time, explained in pairs]

    def scores(self, surprises: Values, alone: Values) -> Values:
        """Return scores (N,) or (K, N): squared distances, about 1 for a usual record.

        Args:
            surprises: (N,) surprises by windows and season; or (K, N), K variants of the surprises.
            alone: (N,) scores of the records alone.
        """
        nats = np.maximum(surprises, self._of_record(alone))
        return scores_of_surprise((self.windows.view,), nats)

    def explained_by_season(self, seen: InSeries, alone: Values) -> Mask:
        """Return a mask (N,) of records for which the season is the best explanation.

        Args:
            seen: results for the N records.
            alone: (N,) scores of the records alone.
        """
        return np.asarray(seen.by_season & (seen.surprises >= self._of_record(alone)), dtype=bool)

    def enough(self, surprises: Values) -> Values:
        """Return the scores (N,) up to which a record's score alone does not change the result.

        Args:
            surprises: (N,) surprises by windows and season.
        """
        if self.alone is None:
            return np.full(len(surprises), np.inf)
        logs = self.alone.value(surprises - np.log(ALONE_SHARE)) - TINY
        return np.asarray(np.exp(np.minimum(logs, FARTHEST)))

    def _of_record(self, alone: Values) -> Values:
        """Return surprises (N,) of scores of records alone, plus ln(`ALONE_SHARE`), in nats.

        The added number is negative, so that these scores cause at most this share of the allowed
        false alarms.
        """
        if self.alone is None:
            return np.zeros(len(alone))
        surprises = self.alone.surprise(np.log(np.maximum(alone, TINY)))
        return np.asarray(surprises + np.log(ALONE_SHARE))
