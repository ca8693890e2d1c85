"""Trains a detector on a frame of normal records."""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Floats, Rows
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.training_set import TrainingSet, folds_of
from aemon.detection.derived_columns import Derivation, derive_in_order, without_derived
from aemon.detection.detector import Detector
from aemon.detection.features.columns import named_columns
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.operation.operation import Operation
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.provenance import Provenance, hash_frame, versions
from aemon.detection.record_judging import ABSENT_SHARE
from aemon.detection.scoring.scorer import Scorer
from aemon.detection.scoring.scorer_fitting import Fitted, ScoringPlan, fit_scorer, hold_out
from aemon.detection.scoring.trimming import trusted_records
from aemon.detection.series.series_fitting import SeriesPlan, fit_series, plan_series
from aemon.detection.series.series_view import SeriesView
from aemon.detection.state import hash_feature_map
from aemon.detection.thresholds.by_entity import Thresholds, calibrate_thresholds
from aemon.detection.thresholds.by_mode import ModeScale, fit_mode_scale
from aemon.detection.thresholds.effective_size import independent_records
from aemon.detection.thresholds.hindsight import standing_out
from aemon.detection.thresholds.threshold import false_alarm_rate_for
from aemon.errors import TrainingError
from aemon.frame import Frame

LEAST_RECORDS = 20
"""Least number of records for training: fewer records cannot be divided into useful folds."""

UPPER_SHARE = 0.1
"""Share of the older scores that are above the value with which the newest scores are compared."""

DRIFT = 3.0
"""The newest scores alone calibrate the threshold if too many of them are high.

The limit of the share of high scores is `UPPER_SHARE` plus this number of standard deviations of a
share that differs from `UPPER_SHARE` only by chance.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A detector without thresholds, and the scores from which its thresholds are computed.

    `learn` returns it.

    Attributes:
        feature_map: converts columns to features.
        scorer: converts features to scores.
        series: converts windows of features to scores; None if each record is judged alone.
        provenance: the origin of the training records, and the settings of the training.
        scores: (n,) scores of the calibration records. Each record was scored by the members that
            did not learn from the record.
        records: the n calibration records.
        unusual: held-out records that differ from all other records.
        threshold: settings of the thresholds.
        rate: the target rate.
        training_frame: all training records.
        operation: rules that select the records to judge; None if all records are judged.
        mode_scale: conversion of each mode's scores to a common scale; None if no mode has its own
            scale.
        derivation: the derived columns; None if none is configured.
    """

    feature_map: FeatureMap
    scorer: Scorer
    series: SeriesView | None
    provenance: Provenance
    scores: npt.NDArray[np.float64]
    records: Frame
    unusual: Frame
    threshold: ThresholdSettings
    rate: float
    training_frame: Frame
    operation: Operation | None = None
    mode_scale: ModeScale | None = None
    derivation: Derivation | None = None

    def detector(self, thresholds: Thresholds | None = None) -> Detector:
        """Return the detector with these thresholds.

        By default, the thresholds are computed from all calibration records.
        """
        return Detector(
            feature_map=self.feature_map,
            scorer=self.scorer,
            series=self.series,
            thresholds=thresholds or self.thresholds(self.scores),
            provenance=self.provenance,
            operation=self.operation,
            mode_scale=self.mode_scale,
            derivation=self.derivation,
        )

    def thresholds(
        self, scores: npt.NDArray[np.float64], among: npt.NDArray[np.bool_] | None = None
    ) -> Thresholds:
        """Compute thresholds from the scores (n,) of the calibration records.

        With a mask `among` (n,), only the scores of the records in the mask are used.

        Raises:
            TrainingError: no finite scores are left.
        """
        rows = np.ones(len(scores), dtype=bool) if among is None else among
        return calibrate_thresholds(
            scores[rows], self.records.times[rows], self.records.entities[rows],
            self.threshold, self.rate,
        )  # fmt: skip


def train_detector(
    frame: Frame,
    settings: LearningSettings,
    seed: int,
    *,
    progress: Progress = None,
    in_order: bool = True,
) -> Detector:
    """Train a detector on normal records, with thresholds from all calibration records.

    The arguments are described in `learn`.

    Raises:
        FrameError: a configured column is missing or does not have its configured type.
        TrainingError: there are too few records, or no column varies.
    """
    return learn(frame, settings, seed, progress=progress, in_order=in_order).detector()


def learn(
    frame: Frame,
    settings: LearningSettings,
    seed: int,
    *,
    rate: float | None = None,
    progress: Progress = None,
    in_order: bool = True,
) -> Learned:
    """Train all parts of a detector on normal records, except the thresholds.

    The records are divided by event time into one fold for each member. A member learns from the
    other folds and scores its own fold. So a member was not trained on the records that it scores.

    Args:
        frame: the records; not modified.
        settings: settings of the columns, the detector and the thresholds.
        seed: the same records, settings and seed give the same detector.
        rate: the target rate; None to compute the rate from the settings and these records.
        progress: called with the finished share of the training.
        in_order: whether event times give an order; a counter is then judged by its increase.

    Raises:
        FrameError: a configured column is missing or does not have its configured type.
        TrainingError: there are too few records, or no column varies.
    """
    started = perf_counter()
    working, operation = _at_work(frame, settings)
    rate = _rate(rate, settings, working)
    frame, derivation = derive_in_order(working, settings.columns)
    feature_map = fit_features(frame, settings.columns, in_order=in_order)
    frame, training_set = make_training_set(frame, feature_map, settings.detector, seed)
    feature_map, training_set, as_series = _suited(feature_map, training_set, settings, frame)
    kind = KINDS[settings.detector.kind]
    autoencoder = kind.learn(training_set, settings.detector, seed, progress)
    plan = plan_for(kind, training_set, feature_map.floors)
    held = hold_out(autoencoder, training_set)
    fitted = fit_scorer(autoencoder, training_set, held, plan, seed=seed)
    series = fit_series(
        training_set, held.filled, feature_map.floors, frame, plan=as_series, alone=fitted.scores,
    )  # fmt: skip
    view = series and replace(series.view, record_threshold=_threshold_alone(fitted, rate))
    fitted = fitted._replace(scores=series.scores if series else fitted.scores)
    calibrating = _calibrating(training_set, fitted)
    rows, held_out = fitted.rows[calibrating], frame.take(fitted.rows)
    fitted, scale = _on_one_scale(fitted, calibrating, feature_map, held_out, settings, rate)
    provenance = Provenance(
        trained_from=frame.aware_time(0), trained_until=frame.aware_time(-1),
        training_records=int((training_set.folds < 0).sum()) or len(frame),
        validation_records=len(fitted.rows), calibration_records=len(rows),
        seed=seed, validation_error=fitted.error, settings_hash=settings.fingerprint,
        feature_map_hash=hash_feature_map(feature_map), data_hash=hash_frame(frame),
        versions=versions(), seconds=perf_counter() - started,
    )  # fmt: skip
    return Learned(
        feature_map=feature_map, scorer=fitted.scorer, series=view, provenance=provenance,
        scores=fitted.scores[calibrating], records=frame.take(rows), rate=rate, training_frame=working,
        unusual=_standing_out(without_derived(derivation, held_out), fitted, rate),
        threshold=settings.threshold, operation=operation, mode_scale=scale, derivation=derivation,
    )  # fmt: skip


def _standing_out(held_out: Frame, fitted: Fitted, rate: float) -> Frame:
    return held_out.take(standing_out(fitted.scores, held_out.entities, rate))


def _suited(
    feature_map: FeatureMap, training_set: TrainingSet, settings: LearningSettings, frame: Frame
) -> tuple[FeatureMap, TrainingSet, SeriesPlan]:
    """Plan how records are judged together; use no automatic logarithms for a series.

    The windows of a series show small changes without logarithms. With logarithms, average
    precision fell from .467 to .444 on ASD and from .617 to .615 on SMD.
    """
    plan = plan_series(settings, training_set, frame)
    automatic = settings.columns.logarithms == "auto" and bool(feature_map.logarithms)
    if not automatic or not (plan.width > 1 or training_set.series):
        return feature_map, training_set, plan
    without, keep = feature_map.without_logarithms()
    fewer = replace(
        training_set, features=np.ascontiguousarray(training_set.features[:, keep]),
        mask=np.ascontiguousarray(training_set.mask[:, keep]), weights=without.weights,
        outputs=without.outputs,
    )  # fmt: skip
    return without, fewer, plan


def _rate(rate: float | None, settings: LearningSettings, frame: Frame) -> float:
    """Return the given target rate; by default the target rate of the settings."""
    return false_alarm_rate_for(settings.threshold, frame.times) if rate is None else rate


def _threshold_alone(fitted: Fitted, rate: float) -> float:
    """Return the threshold above which a record is unusual without regard to earlier records."""
    return float(np.quantile(fitted.scores, 1 - rate))


def plan_for(kind: Kind, training_set: TrainingSet, floors: Floats) -> ScoringPlan:
    """Return the plan by which a kind of detector scores records.

    Args:
        kind: the kind of detector.
        training_set: the training set.
        floors: (F,) least spread of a residual.
    """
    measured = kind.measured(training_set)
    return ScoringPlan(
        floors=floors, views=measured.views, guards=measured.guards, diagonal=kind.diagonal
    )


def _at_work(frame: Frame, settings: LearningSettings) -> tuple[Frame, Operation | None]:
    operation = fit_operation(frame, settings.columns)
    frame = at_work(frame, operation)
    if len(frame) >= LEAST_RECORDS:
        return frame, operation
    of_state = f" for which {operation.summary}" if operation is not None else ""
    raise TrainingError(
        f"{len(frame)} records{of_state} are too few to learn from; at least {LEAST_RECORDS} "
        "are needed",
        todo="wait for more records, or raise min_records"
        + (", or change columns.only_when" if operation is not None else ""),
    )


def make_training_set(
    frame: Frame, feature_map: FeatureMap, settings: DetectorSettings, seed: int
) -> tuple[Frame, TrainingSet]:
    """Return a frame's records in the order of time, and their features as a training set.

    Two groups of records are left out of both results: absent records, because no threshold
    applies to them, and records outside of a configured range, because they are always flagged.

    Raises:
        TrainingError: fewer than `LEAST_RECORDS` records are left.
    """
    cells = feature_map.read(frame)
    X, mask = feature_map.features(cells, frame.entities)  # noqa: N806 -- (N, F)
    usable = feature_map.missing(mask).mean(axis=1) <= ABSENT_SHARE
    usable &= ~cells.outside.any(axis=1)
    if usable.sum() < LEAST_RECORDS:
        raise TrainingError(
            f"of {len(frame)} records only {usable.sum()} have half of their cells or more"
            f"{' and lie within columns.ranges' if feature_map.ranges else ''}; "
            f"at least {LEAST_RECORDS} are needed to learn from",
            todo="exclude the columns that are mostly empty, or wait for more records",
        )
    if not usable.all():
        frame, X, mask = frame.take(usable), X[usable], mask[usable]  # noqa: N806
    share = settings.suspect_share
    weights = feature_map.weights
    return frame, TrainingSet(
        features=X,
        mask=mask,
        weights=weights,
        outputs=feature_map.outputs,
        width=feature_map.width,
        folds=folds_of(frame.entities, settings.members),
        members=settings.members,
        trusted=trusted_records(X, weights, share, seed=seed) if share > 0 else None,
        by_choice=settings.series if isinstance(settings.series, bool) else None,
    )


def _on_one_scale(
    fitted: Fitted,
    calibrating: Rows,
    feature_map: FeatureMap,
    held_out: Frame,
    settings: LearningSettings,
    rate: float,
) -> tuple[Fitted, ModeScale | None]:
    """Convert held-out scores (n,) of all modes to one scale, which scores of new records have."""
    if feature_map.mode is None:
        return fitted, None
    codes = feature_map.mode.read(named_columns(held_out.values)).codes
    scale = fit_mode_scale(
        fitted.scores[calibrating], codes[calibrating], len(feature_map.mode),
        settings.threshold, rate,
    )  # fmt: skip
    if scale is None:
        return fitted, None
    return fitted._replace(scores=scale.common(fitted.scores, codes)), scale


def _calibrating(training_set: TrainingSet, fitted: Fitted) -> Rows:
    """Return indices (K,) of the held-out scores that calibrate the threshold.

    If data drifts, only the scores of the newest fold are used, else all scores. The newest fold is
    the only fold that is judged like new records: by members that were trained on older records.
    If the scores of the newest fold are higher than the older scores by more than chance, a
    threshold from the older scores would be too low.
    """
    folds = training_set.folds[fitted.rows]
    newest = folds == folds.max()
    everything = np.arange(len(folds))
    if newest.all() or not training_set.series:
        return everything
    threshold = np.quantile(fitted.scores[~newest], 1 - UPPER_SHARE)
    over = (fitted.scores[newest] > threshold).mean()
    chance = np.sqrt(UPPER_SHARE * (1 - UPPER_SHARE) / independent_records(fitted.scores[newest]))
    return everything[newest] if over > UPPER_SHARE + DRIFT * chance else everything
