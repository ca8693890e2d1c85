"""Judges and explains the records of a frame; features are computed once for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows, Values
from aemon.detection.derived_columns import Derivation, with_derived
from aemon.detection.explaining.blame import blame
from aemon.detection.explaining.evidence import grounds
from aemon.detection.explaining.explanation import explain_records
from aemon.detection.explaining.window_explanation import explain_windows
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.modes import unseen
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.operation.operation import Operation
from aemon.detection.past import Past
from aemon.detection.scoring.likeliest_mode import fill_modes
from aemon.detection.scoring.rounding import as_expected_within
from aemon.detection.scoring.scorer import Scorer
from aemon.detection.series.series_view import InSeries, SeriesView
from aemon.detection.series.tails import Tails
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.by_mode import ModeScale
from aemon.frame import Frame

ABSENT_SHARE = 0.5
"""A record with more than this share of its judged cells missing is absent, not unusual."""

PLAINLY = 2.0
"""Least exceedance of a record that fails a plain check (see `Seen.fails_plain_check`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The features of the records that are to be judged. Made by `see`.

    Attributes:
        frame: the N records to be judged, without context rows.
        cells: the cells of the N records, as they were read.
        features: (N, F) features of the records, 0 where a cell is missing.
        mask: (N, F) True where a feature was observed.
        in_series: results of comparing each record with earlier records; None without windows.
        latest: the last numbers of each entity, for derived columns of later records.
    """

    frame: Frame
    cells: RecordCells
    features: Floats
    mask: Mask
    in_series: InSeries | None = None
    latest: Tails = field(default_factory=Tails)

    @property
    def fails_plain_check(self) -> Mask:
        """Mask (N,) of records that fail at least one plain check.

        A record fails a plain check in each of these cases:

        - a column that was constant in the training records has changed;
        - a column is frozen;
        - a value is outside of the range of its column;
        - two values occur together that never occurred together in the training records;
        - the mode is not in the training set.
        """
        cells = self.cells
        plain = cells.moved.any(axis=1) | cells.frozen.any(axis=1) | cells.outside.any(axis=1)
        plain |= cells.new_pairs.any(axis=1)
        if cells.modes is not None:
            plain |= unseen(cells.modes.codes)
        return np.asarray(plain, dtype=bool)

    def take(self, rows: Rows | Mask) -> "Seen":
        """Return the features of the records at these rows only."""
        return Seen(
            frame=self.frame.take(rows),
            cells=self.cells.take(rows),
            features=self.features[rows],
            mask=self.mask[rows],
            in_series=self.in_series.take(rows) if self.in_series is not None else None,
            latest=self.latest,
        )


class Parts(NamedTuple):
    """The parts of a detector that judging and explaining records needs."""

    feature_map: FeatureMap
    scorer: Scorer
    series: SeriesView | None  # None if each record is judged alone
    operation: Operation | None = None  # None if all records are judged
    mode_scale: ModeScale | None = None  # None if no mode has its own threshold
    derivation: Derivation | None = None  # None if no column is derived


def see(parts: Parts, frame: Frame, before: Past | None = None) -> Seen:
    """Compute features of all rows of a frame; return the features of the records to be judged.

    Args:
        parts: the parts of the detector.
        frame: the records, in the order of time, with context rows.
        before: the state after the earlier records.

    Raises:
        FrameError: a judged column or the column of modes is missing, or no judged column can be
            read.
    """
    feature_map, scorer, series, *_ = parts
    past = before or Past()
    frame, latest = with_derived(parts.derivation, frame, past.latest)
    cells = feature_map.read(frame, past.repeats, past.counts)
    features, mask = feature_map.features(cells, frame.entities)
    mask[:, feature_map.steady] = True  # a missing constant is not filled
    if cells.modes is not None:
        codes = fill_modes(feature_map, scorer, cells.modes.codes, features, mask)
        cells = replace(cells, modes=cells.modes._replace(codes=codes))
    slack = feature_map.slack(cells)
    if slack.any():
        features = as_expected_within(scorer, features, mask, slack)
    in_series = None
    if series is not None:
        guessed = scorer.space.guess(features, mask)
        tails = before.tails if before is not None else None
        in_series = series.look(guessed, mask, frame.entities, frame.times, tails, frame.stretches)
        if slack.any():  # windows do not allow for coarser rounding
            in_series = in_series.silent()
    seen = Seen(
        frame=frame, cells=cells, features=features, mask=mask, in_series=in_series, latest=latest
    )
    if frame.context is None:
        return seen
    kept = seen.take(frame.to_judge)
    return replace(kept, frame=kept.frame.without_context())


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """The result of judging one frame with one detector. Made by `Detector.look`.

    The class implements the protocol `Looked`.

    Attributes:
        frame: the N records, without context rows.
        judgement: the verdicts on the N records.
        seen: the records that are not idle, with their features.
        parts: the parts of the detector.
        thresholds: the detector's thresholds.
    """

    frame: Frame
    judgement: Judgement
    seen: Seen
    parts: Parts
    thresholds: Thresholds

    def explain(self, rows: Rows, units: Mapping[str, str] | None = None) -> list[Explanation]:
        """Explain the scores of the records at these rows, in original units.

        Args:
            rows: (K,) indices of K of the N records.
            units: column -> unit of a numeric column, for the text: `{"pressure": "bar"}`.
        """
        if not len(rows):
            return []
        if self.judgement.idle is not None:
            rows = (np.cumsum(~self.judgement.idle) - 1)[rows]
        return explain(self.parts, self.thresholds, self.seen.take(rows), units)


def look(parts: Parts, thresholds: Thresholds, frame: Frame, before: Past | None = None) -> Look:
    """Judge records that were fetched together; idle records are not judged.

    Args:
        parts: the parts of the detector.
        thresholds: the detector's thresholds.
        frame: the records, in the order of time, with context rows. If the frame already has a
            period of operation for each record, all records are judged.
        before: the state after the earlier records.

    Raises:
        FrameError: a judged column, the column of modes or a column of the operating condition is
            missing; or no judged column can be read.
    """
    chosen = frame.stretches is not None and bool((frame.stretches >= 0).all())
    if parts.operation is None or chosen:
        seen = see(parts, frame, before)
        judged = judge(parts, thresholds, seen)
        return Look(
            frame=seen.frame, judgement=judged, seen=seen, parts=parts, thresholds=thresholds
        )
    standing = parts.operation.look(frame, before.starts if before is not None else None)
    working = replace(frame, stretches=standing.stretches).take(standing.judged)
    seen = see(parts, working, before)
    own = frame.to_judge
    judged = judge(parts, thresholds, seen)
    judged = judged.among(standing.judged[own], undecided=int(standing.open[own].sum()))
    tails = judged.past.tails.without(standing.halted)
    latest = judged.past.latest.without(standing.halted)
    past = replace(judged.past, tails=tails, latest=latest, starts=standing.after)
    return Look(
        frame=frame.without_context(),
        judgement=replace(judged, past=past),
        seen=seen,
        parts=parts,
        thresholds=thresholds,
    )


def judge(parts: Parts, thresholds: Thresholds, seen: Seen) -> Judgement:
    """Return the verdicts on N records that were fetched together."""
    feature_map, scorer, series, *_ = parts
    in_series, tails, raw = seen.in_series, Tails(), None
    if series is None or in_series is None:
        found = scorer.scores(seen.features, seen.mask)
    else:
        tails, enough = in_series.tails, series.enough(in_series.surprises)
        alone = scorer.scores(seen.features, seen.mask, enough=enough)
        found, raw = series.scores(np.stack([in_series.surprises, in_series.raw]), alone)
    if parts.mode_scale is not None and seen.cells.modes is not None:
        codes = seen.cells.modes.codes
        found = parts.mode_scale.common(found, codes)
        raw = None if raw is None else parts.mode_scale.common(raw, codes)
    plain = seen.fails_plain_check
    if plain.any():
        least = PLAINLY * thresholds.values(seen.frame.entities)
        found = np.where(plain, np.maximum(found, least), found)
        raw = None if raw is None else np.where(plain, np.maximum(raw, least), raw)
    missing = feature_map.missing(seen.mask)
    imputed_shares = missing.mean(axis=1)
    absent = imputed_shares > ABSENT_SHARE
    judged = thresholds.judge(found, seen.frame.entities, absent)
    return Judgement(
        scores=found,
        raw_scores=raw,
        p_values=judged.p_values,
        exceedances=judged.exceedances,
        anomalous=judged.anomalous,
        absent=absent,
        critical=judged.critical,
        imputed_shares=imputed_shares,
        cells_imputed=int(missing.sum()),
        unreadable=seen.cells.unreadable,
        past=Past(
            repeats=seen.cells.repeats, tails=tails, counts=seen.cells.counts, latest=seen.latest
        ),
    )


def explain(
    parts: Parts,
    thresholds: Thresholds,
    seen: Seen,
    units: Mapping[str, str] | None = None,
) -> list[Explanation]:
    """Explain the score of each of a few records, in original units."""
    feature_map, scorer, series, *_ = parts
    if series is None or seen.in_series is None:
        least = thresholds.values(seen.frame.entities)
        if parts.mode_scale is not None and seen.cells.modes is not None:
            least = parts.mode_scale.own(least, seen.cells.modes.codes)
        return _explain_alone(feature_map, scorer, least, seen, units)
    least = np.full(len(seen.frame), series.record_threshold)
    scores = scorer.scores(seen.features, seen.mask)
    usual = (scores <= least) | series.explained_by_season(seen.in_series, scores)
    usual &= ~seen.fails_plain_check
    beside, alone = np.flatnonzero(usual), np.flatnonzero(~usual)
    found: dict[int, Explanation] = {}
    if beside.size:  # records that are unusual only in comparison with earlier records
        part, in_series = seen.take(beside), seen.in_series.take(beside)
        made_of = in_series.gaps * part.mask
        blamed = scorer.parts(part.features, part.mask, made_of=made_of).errors
        times = series.season_labels(part.frame.times, in_series.by_season)
        shared = in_series._replace(gaps=blamed)
        explained = explain_windows(feature_map, part.cells, part.mask, shared, units, times)
        found |= zip(beside.tolist(), explained, strict=True)
    if alone.size:
        explained = _explain_alone(feature_map, scorer, least[alone], seen.take(alone), units)
        found |= zip(alone.tolist(), explained, strict=True)
    return [found[row] for row in range(len(found))]


def _explain_alone(
    feature_map: FeatureMap,
    scorer: Scorer,
    least: Values,
    seen: Seen,
    units: Mapping[str, str] | None,
) -> list[Explanation]:
    """Explain each record by the cells of this record alone, without earlier records.

    Args:
        feature_map: the detector's feature map.
        scorer: the detector's scorer.
        least: (N,) the threshold for each record's score.
        seen: the N records.
        units: column -> unit of a numeric column.
    """
    parts = scorer.parts(seen.features, seen.mask)
    found = blame(feature_map, scorer, least, seen.features, seen.mask)
    for row in np.flatnonzero(seen.fails_plain_check & (parts.scores <= least)):
        found.columns[row].clear()  # only columns that fail a plain check are to blame
    given = grounds(feature_map, scorer, seen.features, found)
    return explain_records(feature_map, seen.cells, parts.errors, found, given, units or {})
