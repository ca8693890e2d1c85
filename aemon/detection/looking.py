"""One look of a detector at a frame: features are made once, for verdicts and explanations alike."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.explaining.blame import blame
from aemon.detection.explaining.evidence import grounds
from aemon.detection.explaining.explanation import explain_records
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.repeats import Repeats
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.scoring.rounding import as_expected_within
from aemon.detection.scoring.scorer import Scorer
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.frame import Frame

ABSENT_SHARE = 0.5
"""A record with more than this share of its judged cells missing is absent, not odd."""

PLAINLY = 2.0
"""Thresholds that a record scores at least in which a column moved that never did in training, or
has stood still for longer than ever."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The features of a frame's records that are to be judged. Made by `see`.

    Attributes:
        frame: the N records; context rows were seen and are left out.
        cells: of the N records, as they were read.
        features: (N, F), 0 where missing.
        mask: (N, F), which features were observed.
    """

    frame: Frame
    cells: RecordCells
    features: Floats
    mask: Mask

    @property
    def plainly_odd(self) -> Mask:
        """In which records (N,) a column moved that never did, or is frozen."""
        return np.asarray(self.cells.moved.any(axis=1) | self.cells.frozen.any(axis=1), dtype=bool)

    def take(self, rows: Rows | Mask) -> "Seen":
        """Return what was seen of the records at these rows."""
        return Seen(
            frame=self.frame.take(rows),
            cells=self.cells.take(rows),
            features=self.features[rows],
            mask=self.mask[rows],
        )


def see(
    feature_map: FeatureMap, scorer: Scorer, frame: Frame, before: Repeats | None = None
) -> Seen:
    """Make features of all rows of a frame, and keep those of the records to be judged.

    Raises:
        FrameError: a column that was learned from is missing, or no judged column can be read.
    """
    cells = feature_map.read(frame, before)
    features, mask = feature_map.features(cells, frame.entities)
    mask[:, feature_map.steady] = True  # a missing constant is nothing to be filled in
    slack = feature_map.slack(cells)
    if slack.any():
        features = as_expected_within(scorer, features, mask, slack)
    seen = Seen(frame=frame, cells=cells, features=features, mask=mask)
    if frame.context is None:
        return seen
    kept = seen.take(frame.to_judge)
    return Seen(
        frame=kept.frame.without_context(),
        cells=kept.cells,
        features=kept.features,
        mask=kept.mask,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """One look of one detector at a frame, a `Looked`. Made by `Detector.look`.

    Attributes:
        seen: the N records that were judged, and their features.
        judgement: of the N records.
    """

    seen: Seen
    judgement: Judgement
    feature_map: FeatureMap
    scorer: Scorer
    thresholds: Thresholds

    @property
    def frame(self) -> Frame:
        """The N records that were judged."""
        return self.seen.frame

    def explain(self, rows: Rows, units: Mapping[str, str] | None = None) -> list[Explanation]:
        """Explain why the records at these rows scored as they did, in original units.

        Args:
            rows: (K,) places among the N records.
            units: of numeric columns, for the words alone: `{"pressure": "bar"}`.
        """
        if not len(rows):
            return []
        return explain(self.feature_map, self.scorer, self.thresholds, self.seen.take(rows), units)


def judge(scorer: Scorer, thresholds: Thresholds, feature_map: FeatureMap, seen: Seen) -> Judgement:
    """Return the verdicts on N records that were fetched together."""
    found = scorer.scores(seen.features, seen.mask)
    plain = seen.plainly_odd
    if plain.any():
        least = PLAINLY * thresholds.values(seen.frame.entities)
        found = np.where(plain, np.maximum(found, least), found)
    missing = feature_map.missing(seen.mask)
    imputed_shares = missing.mean(axis=1)
    absent = imputed_shares > ABSENT_SHARE
    judged = thresholds.judge(found, seen.frame.entities, absent)
    return Judgement(
        scores=found,
        p_values=judged.p_values,
        exceedances=judged.exceedances,
        anomalous=judged.anomalous,
        absent=absent,
        critical=judged.critical,
        imputed_shares=imputed_shares,
        cells_imputed=int(missing.sum()),
        unreadable=seen.cells.unreadable,
        repeats=seen.cells.repeats,
    )


def explain(
    feature_map: FeatureMap,
    scorer: Scorer,
    thresholds: Thresholds,
    seen: Seen,
    units: Mapping[str, str] | None = None,
) -> list[Explanation]:
    """Explain why each of a few records scored as it did, in original units."""
    parts = scorer.parts(seen.features, seen.mask)
    least = thresholds.values(seen.frame.entities)
    found = blame(feature_map, scorer, least, seen.features, seen.mask)
    for row in np.flatnonzero(seen.plainly_odd & (parts.scores <= least)):
        found.columns[row].clear()  # what moved, or froze, is to blame alone
    given = grounds(feature_map, scorer, seen.features, found)
    return explain_records(feature_map, seen.cells, parts.errors, found, given, units or {})
