"""The detector: everything learned from normal records, complete and immutable."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.config.detector import DetectorSettings
from aemon.config.schema import LearningSettings
from aemon.detection.blame import blame
from aemon.detection.codes import Compression, code_map, compression
from aemon.detection.explanation import explain_records
from aemon.detection.feature_map import FeatureMap
from aemon.detection.features import fit_features
from aemon.detection.filling import Filled, fill
from aemon.detection.fitting import Fitted, fit_scorer, hold_out, is_series
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.kinds.kind import Kind
from aemon.detection.kinds.registry import KINDS
from aemon.detection.lesson import Lesson, contiguous_folds
from aemon.detection.lines import Lines, calibrate_lines
from aemon.detection.provenance import (
    Provenance,
    as_datetime,
    hash_frame,
    versions,
)
from aemon.detection.scorer import Scorer
from aemon.detection.state import (
    feature_map_from,
    feature_map_state,
    hash_feature_map,
    lines_from,
    lines_state,
    scorer_from,
    scorer_state,
)
from aemon.detection.threshold import Threshold, false_alarm_rate_for
from aemon.detection.trimming import trusted_records
from aemon.detection.units import as_columns, with_gaps_filled
from aemon.errors import TrainingError
from aemon.frame import Frame

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Progress = Callable[[float], None] | None

LEAST_RECORDS = 20
"""Fewer records than this cannot be cut into folds that say anything."""

ABSENT_SHARE = 0.5
"""A record with more than this share of its judged cells missing is absent, not odd."""

UPPER_SHARE = 0.1
"""Share of normal scores by which the newest records are held against the older ones."""

DRIFT = 3.0
"""Standard deviations of chance by which the newest records must be odder to be held apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """All that judging takes. Made by `train_detector` or `from_state`: none is ever unfitted.

    Attributes:
        feature_map: from columns to features.
        scorer: from features to scores.
        lines: from scores to verdicts.
        provenance: what it was trained on.
    """

    feature_map: FeatureMap
    scorer: Scorer
    lines: Lines
    provenance: Provenance

    @property
    def threshold(self) -> Threshold:
        """The line for all records that have none of their own."""
        return self.lines.pooled

    def judge(self, frame: Frame) -> Judgement:
        """The verdicts on N records that were fetched together.

        Raises:
            FrameError: a column that was learned from is missing or has changed its type.
        """
        self.feature_map.check(frame)
        X, mask = self.feature_map.transform(frame)  # noqa: N806 -- (N, F)
        found = self.scorer.scores(X, mask)
        missing = _missing(self.feature_map, mask)
        imputed_shares = missing.mean(axis=1)
        absent = imputed_shares > ABSENT_SHARE
        judged = self.lines.judge(found, frame.entities, absent)
        return Judgement(
            scores=found,
            p_values=judged.p_values,
            exceedances=judged.exceedances,
            anomalous=judged.anomalous,
            absent=absent,
            critical=judged.critical,
            imputed_shares=imputed_shares,
            cells_imputed=int(missing.sum()),
        )

    def explain(self, frame: Frame) -> list[Explanation]:
        """Why each of a few records scored as it did, in original units.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        X, mask = self.feature_map.transform(frame)  # noqa: N806 -- (N, F)
        errors = self.scorer.parts(X, mask).errors
        lines = self.lines.values(frame.entities)
        blamed, reconstruction = blame(self.feature_map, self.scorer, lines, X, mask)
        return explain_records(self.feature_map, frame, errors, blamed, reconstruction)

    def encode(self, frame: Frame) -> Floats:
        """Codes (M, N, C) of N records by the encoders of all M members; gaps are filled first.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        _, filled = self._fill(frame)
        return self.scorer.autoencoder.encode(filled.features)

    def reconstruct(self, frame: Frame) -> pd.DataFrame:
        """The judged columns of N records as they come back, in original units: denoised.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        _, filled = self._fill(frame)
        return as_columns(self.feature_map, filled.reconstruction)

    def impute(self, frame: Frame) -> pd.DataFrame:
        """The frame's values with missing judged cells estimated, all others untouched.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        mask, filled = self._fill(frame)
        return with_gaps_filled(self.feature_map, frame.values, filled.features, mask)

    def code_map(self, frame: Frame) -> Floats:
        """Coordinates (N, 2) of N records for a picture, as `codes.code_map` has them.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        _, filled = self._fill(frame)
        normal = self.scorer.space.normal_records
        return code_map(self.scorer.autoencoder, normal, filled.features)

    def compression(self, frame: Frame) -> Compression:
        """What keeping one member's codes instead of these records saves, and costs.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        mask, filled = self._fill(frame)
        return compression(self.feature_map, self.scorer.autoencoder, filled.features, mask)

    def _fill(self, frame: Frame) -> tuple[Mask, Filled]:
        X, mask = self.feature_map.transform(frame)  # noqa: N806 -- (N, F)
        return mask, fill(self.scorer, X, mask)

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything as named arrays and JSON-able metadata; `from_state` takes them back."""
        map_arrays, map_metadata = feature_map_state(self.feature_map)
        scorer_arrays, scorer_metadata = scorer_state(self.scorer)
        line_arrays, line_metadata = lines_state(self.lines)
        metadata = {
            "feature_map": map_metadata,
            "scorer": scorer_metadata,
            "lines": line_metadata,
            "provenance": self.provenance.to_metadata(),
        }
        return {**map_arrays, **scorer_arrays, **line_arrays}, metadata

    @classmethod
    def from_state(
        cls, arrays: dict[str, npt.NDArray[Any]], metadata: dict[str, Any]
    ) -> "Detector":
        """The inverse of `state`, exactly.

        Raises:
            KeyError: something is missing from either.
        """
        feature_map = feature_map_from(arrays, metadata["feature_map"])
        return cls(
            feature_map=feature_map,
            scorer=scorer_from(arrays, metadata["scorer"], feature_map),
            lines=lines_from(arrays, metadata["lines"]),
            provenance=Provenance.from_metadata(metadata["provenance"]),
        )


def train_detector(
    frame: Frame, settings: LearningSettings, seed: int, *, progress: Progress = None
) -> Detector:
    """Learn a detector from normal records.

    The records are cut, in the order of their event times, into as many folds as there are
    members; each member learns from the other folds and is tried on its own. So every record
    helps to learn, and every record, scored as one never seen, calibrates the threshold.

    Args:
        frame: the records; not modified.
        settings: columns, detector and threshold.
        seed: the same records, settings and seed give the same detector.
        progress: called with the share of the training that is done.

    Raises:
        FrameError: a configured column is not there or is not of its configured kind.
        TrainingError: there is too little to learn from.
    """
    started = perf_counter()
    if len(frame) < LEAST_RECORDS:
        raise TrainingError(
            f"{len(frame)} records are too few to learn from; it takes {LEAST_RECORDS}",
            todo="wait for more records, or raise min_records",
        )
    rate = false_alarm_rate_for(settings.threshold, frame.times)
    frame = frame.take(np.argsort(frame.times, kind="stable"))
    feature_map = fit_features(frame, settings.columns)
    frame = _without_absent(frame, feature_map)
    kind = KINDS[settings.detector.kind]
    lesson = make_lesson(frame, feature_map, settings.detector, seed)
    fitted = _learn(lesson, feature_map, kind, settings, seed, progress)
    calibrating = _calibrating(lesson, fitted)
    rows = fitted.rows[calibrating]
    lines = calibrate_lines(
        fitted.scores[calibrating], frame.times[rows], frame.entities[rows],
        settings.threshold, rate,
    )  # fmt: skip
    provenance = Provenance(
        trained_from=as_datetime(frame.times[0]),
        trained_until=as_datetime(frame.times[-1]),
        training_records=int((lesson.folds < 0).sum()) or len(frame),
        validation_records=len(fitted.rows),
        calibration_records=len(rows),
        seed=seed,
        validation_error=fitted.error,
        settings_hash=settings.fingerprint,
        feature_map_hash=hash_feature_map(feature_map),
        data_hash=hash_frame(frame),
        versions=versions(),
        seconds=perf_counter() - started,
    )
    return Detector(
        feature_map=feature_map, scorer=fitted.scorer, lines=lines, provenance=provenance
    )


def _without_absent(frame: Frame, feature_map: FeatureMap) -> Frame:
    """The frame without absent records: they are never flagged, so no line is for them."""
    _, mask = feature_map.transform(frame)
    there = _missing(feature_map, mask).mean(axis=1) <= ABSENT_SHARE
    if there.sum() < LEAST_RECORDS:
        raise TrainingError(
            f"of {len(frame)} records only {there.sum()} have half of their cells or more; "
            f"it takes {LEAST_RECORDS} to learn from",
            todo="exclude the columns that are mostly empty, or wait for more records",
        )
    return frame if there.all() else frame.take(there)


def make_lesson(
    frame: Frame, feature_map: FeatureMap, settings: DetectorSettings, seed: int
) -> Lesson:
    """A frame's records, in the order of time, as features to learn from."""
    X, mask = feature_map.transform(frame)  # noqa: N806 -- (N, F)
    share = settings.suspect_share
    weights = feature_map.weights
    return Lesson(
        features=X,
        mask=mask,
        weights=weights,
        outputs=feature_map.outputs,
        width=feature_map.width,
        folds=contiguous_folds(len(frame), settings.members),
        members=settings.members,
        trusted=trusted_records(X, weights, share, seed=seed) if share > 0 else None,
    )


def _learn(
    lesson: Lesson,
    feature_map: FeatureMap,
    kind: Kind,
    settings: LearningSettings,
    seed: int,
    progress: Progress,
) -> Fitted:
    autoencoder = kind.learn(lesson, settings.detector, seed, progress)
    held_out = hold_out(autoencoder, lesson)
    if kind.refit:
        autoencoder = kind.learn(lesson.whole, settings.detector, seed, None)
    return fit_scorer(
        autoencoder, lesson, held_out, feature_map.floors, kind.views,
        diagonal=kind.diagonal, seed=seed,
    )  # fmt: skip


def _calibrating(lesson: Lesson, fitted: Fitted) -> Rows:
    """Which of the held-out scores set the line (K,): all, or the newest where normal life moves.

    The newest fold alone is tried as later records will be, by members that know only what was
    before. Where it is odder than the rest by more than chance, the rest would promise too much.
    """
    folds = lesson.folds[fitted.rows]
    newest = folds == folds.max()
    everyone = np.arange(len(folds))
    if newest.all() or not is_series(lesson.features[:, lesson.weights > 0]):
        return everyone
    line = np.quantile(fitted.scores[~newest], 1 - UPPER_SHARE)
    over = (fitted.scores[newest] > line).mean()
    chance = np.sqrt(UPPER_SHARE * (1 - UPPER_SHARE) / newest.sum())
    return everyone[newest] if over > UPPER_SHARE + DRIFT * chance else everyone


def _missing(feature_map: FeatureMap, mask: Mask) -> Mask:
    """Which judged columns are missing (N, judged columns), of observed features (N, F)."""
    firsts = [place.start for _, place in feature_map.judged]
    return ~mask[:, firsts]
