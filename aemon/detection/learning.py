"""Learning a detector: from a frame of normal records to all that judging takes."""

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
from aemon.detection.detector import Detector
from aemon.detection.features.columns import named_columns
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.looking import ABSENT_SHARE
from aemon.detection.operation.operation import Operation
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.provenance import Provenance, hash_frame, versions
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
from aemon.frame import Frame, in_time_order

LEAST_RECORDS = 20
"""Fewer records than this cannot be cut into folds that say anything."""

UPPER_SHARE = 0.1
"""Share of normal scores by which the newest records are held against the older ones."""

DRIFT = 3.0
"""Standard deviations of chance by which the newest records must be odder to be held apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """All of a detector but its lines, and the scores they are drawn from. Made by `learn`.

    Attributes:
        feature_map: from columns to features.
        scorer: from features to scores.
        series: from windows of features to scores, where they are judged.
        provenance: what it was trained on.
        scores: (n,) of the calibration records, each as one never seen.
        records: those n records.
        taught: all records that it was learned from.
        operation: which records are judged; None where all are.
        mode_scale: how scores of each mode become scores of all; None where they stay.
        odd: the records held out that stand out from all others.
        threshold: how lines are to be drawn.
        rate: the promise.
    """

    feature_map: FeatureMap
    scorer: Scorer
    series: SeriesView | None
    provenance: Provenance
    scores: npt.NDArray[np.float64]
    records: Frame
    odd: Frame
    threshold: ThresholdSettings
    rate: float
    taught: Frame
    operation: Operation | None = None
    mode_scale: ModeScale | None = None

    def detector(self, thresholds: Thresholds | None = None) -> Detector:
        """The detector with these lines; by default those of all calibration records."""
        return Detector(
            feature_map=self.feature_map,
            scorer=self.scorer,
            series=self.series,
            thresholds=thresholds or self.thresholds(self.scores),
            provenance=self.provenance,
            operation=self.operation,
            mode_scale=self.mode_scale,
        )

    def thresholds(
        self, scores: npt.NDArray[np.float64], among: npt.NDArray[np.bool_] | None = None
    ) -> Thresholds:
        """The lines drawn from scores (n,) of the calibration records, or of some `among` them.

        Raises:
            TrainingError: there are no scores left.
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
    """Learn a detector from normal records: `learn`, with the lines of all of them.

    Raises:
        FrameError: a configured column is not there or is not of its configured kind.
        TrainingError: there is too little to learn from.
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
    """Learn all of a detector but its thresholds from normal records.

    The records are cut by event time into as many folds as there are members. Each member learns
    from the other folds and scores its own, so that every record calibrates the threshold unseen.

    Args:
        frame: the records; not modified.
        settings: columns, detector and threshold.
        seed: the same records, settings and seed give the same detector.
        rate: the promise, where some of the records that came were left out; else by settings.
        progress: called with the share of the training that is done.
        in_order: whether times mean something: a counter is then judged by its increase.

    Raises:
        FrameError: a configured column is not there or is not of its configured kind.
        TrainingError: there is too little to learn from.
    """
    started = perf_counter()
    taught, operation = _at_work(frame, settings)
    rate, frame = _rate(rate, settings, taught), in_time_order(taught)
    feature_map = fit_features(frame, settings.columns, in_order=in_order)
    frame, training_set = make_training_set(frame, feature_map, settings.detector, seed)
    feature_map, training_set, as_series = _suited(feature_map, training_set, settings, frame)
    kind = KINDS[settings.detector.kind]
    autoencoder = kind.learn(training_set, settings.detector, seed, progress)
    plan = plan_for(kind, training_set, feature_map.floors)
    held = hold_out(autoencoder, training_set)
    fitted = fit_scorer(autoencoder, training_set, held, plan, seed=seed)
    series = fit_series(
        training_set, held.filled, feature_map.floors, frame,
        plan=as_series, alone=fitted.scores,
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
        scores=fitted.scores[calibrating], records=frame.take(rows),
        odd=held_out.take(standing_out(fitted.scores, held_out.entities, rate)),
        threshold=settings.threshold, rate=rate, taught=taught, operation=operation, mode_scale=scale,
    )  # fmt: skip


def _suited(
    feature_map: FeatureMap, training_set: TrainingSet, settings: LearningSettings, frame: Frame
) -> tuple[FeatureMap, TrainingSet, SeriesPlan]:
    """Plan how records are seen together, and leave logarithms that nobody chose out of a series.

    Its windows see small changes already.

    With them, average precision fell from .467 to .444 on ASD and from .617 to .615 on SMD.
    """
    plan = plan_series(settings, training_set, frame)
    chosen = settings.columns.logarithms != "auto"
    if chosen or plan.width <= 1 or not feature_map.logarithms:
        return feature_map, training_set, plan
    without, keep = feature_map.without_logarithms()
    fewer = replace(
        training_set, features=np.ascontiguousarray(training_set.features[:, keep]),
        mask=np.ascontiguousarray(training_set.mask[:, keep]), weights=without.weights,
        outputs=without.outputs,
    )  # fmt: skip
    return without, fewer, plan


def _rate(rate: float | None, settings: LearningSettings, taught: Frame) -> float:
    """The promise that was given, or that of the settings."""
    return false_alarm_rate_for(settings.threshold, taught.times) if rate is None else rate


def _threshold_alone(fitted: Fitted, rate: float) -> float:
    """What the score of a record alone is held against, to say whether it is odd by itself."""
    return float(np.quantile(fitted.scores, 1 - rate))


def plan_for(kind: Kind, training_set: TrainingSet, floors: Floats) -> ScoringPlan:
    """How a kind of detector scores records like these; (F,) floors of their residuals."""
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
        f"{len(frame)} records{of_state} are too few to learn from; it takes {LEAST_RECORDS}",
        todo="wait for more records, or raise min_records"
        + (", or change columns.only_when" if operation is not None else ""),
    )


def make_training_set(
    frame: Frame, feature_map: FeatureMap, settings: DetectorSettings, seed: int
) -> tuple[Frame, TrainingSet]:
    """A frame's records, in the order of time, as features to learn from.

    Absent records are left out of both: they are never flagged, so no line is for them. So are those
    outside of a given range, which are always flagged.

    Raises:
        TrainingError: too few are left.
    """
    cells = feature_map.read(frame)
    X, mask = feature_map.features(cells, frame.entities)  # noqa: N806 -- (N, F)
    there = feature_map.missing(mask).mean(axis=1) <= ABSENT_SHARE
    there &= ~cells.outside.any(axis=1)
    if there.sum() < LEAST_RECORDS:
        raise TrainingError(
            f"of {len(frame)} records only {there.sum()} have half of their cells or more"
            f"{' and lie within columns.ranges' if feature_map.ranges else ''}; "
            f"it takes {LEAST_RECORDS} to learn from",
            todo="exclude the columns that are mostly empty, or wait for more records",
        )
    if not there.all():
        frame, X, mask = frame.take(there), X[there], mask[there]  # noqa: N806
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
    """Put held-out scores (n,) of all modes on one scale, as those of records to come will be."""
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
    """Which of the held-out scores set the line (K,): all, or the newest where normal life moves.

    The newest fold alone is tried as later records will be, by members that know only what was
    before. Where it is odder than the rest by more than chance, the rest would promise too much.
    """
    folds = training_set.folds[fitted.rows]
    newest = folds == folds.max()
    everyone = np.arange(len(folds))
    if newest.all() or not training_set.series:
        return everyone
    threshold = np.quantile(fitted.scores[~newest], 1 - UPPER_SHARE)
    over = (fitted.scores[newest] > threshold).mean()
    chance = np.sqrt(UPPER_SHARE * (1 - UPPER_SHARE) / independent_records(fitted.scores[newest]))
    return everyone[newest] if over > UPPER_SHARE + DRIFT * chance else everyone
