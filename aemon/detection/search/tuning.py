"""The search for settings without labels: the best settings separate planted anomalies best."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.arrays import Values
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.training_set import contiguous_folds
from aemon.detection.derived_columns import derive
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.learning import train_detector
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.search.planting import Records, plantings
from aemon.errors import TrainingError
from aemon.frame import Frame

FOLDS = 3
"""Number of folds in time. Each fold is judged by a detector that is trained on the other folds."""

LEAST_RECORDS = 100
"""Least number of records for a search. With fewer records, the folds are too small to show
differences between settings."""

CODE_SHARES = (0.25, 0.5, 0.9)
"""Widths of the code to try, as shares of the number of independent features."""

NOISES = (0.0, 0.25, 0.5, 1.0)
HIDDEN_FACTORS = (1, 6)
STEPS = (600, 1500)

Changes = dict[str, Any]
Report = Callable[["Trial"], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Settings that were tried, with their results.

    Attributes:
        changes: key of `detector` -> value, for values that differ from the present settings.
        criterion: mean AUROC over plantings and folds; NaN if the training failed.
        error: standard error of the criterion over the folds.
        by_planting: name of a planting -> its mean AUROC.
        false_alarm_rate: share of the held-out normal records that were flagged.
        seconds: duration of the trial.
        refusal: reason why training failed with these settings; empty if training succeeded.
    """

    changes: Changes
    criterion: float = float("nan")
    error: float = float("nan")
    by_planting: dict[str, float] = field(default_factory=dict)
    false_alarm_rate: float = float("nan")
    seconds: float = 0.0
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """All trials of a search; the first trial has the present settings.

    Attributes:
        trials: the trials, in the order of the search.
        finished: whether all planned trials were made; False if there was not enough time.
    """

    trials: tuple[Trial, ...]
    finished: bool

    @property
    def best(self) -> Trial:
        """The trial with the largest criterion."""
        return max(
            (trial for trial in self.trials if not trial.refusal), key=lambda trial: trial.criterion
        )

    @property
    def advice(self) -> Trial:
        """The trial with the fewest changes that is within one standard error of the best trial.

        By the one-standard-error rule (Breiman et al. 1984, section 3.4.3), the simpler trial is
        preferred if there is no clear difference. So the present settings are preferred if they are
        within one standard error.
        """
        best = self.best
        alike = [trial for trial in self.trials if trial.criterion >= best.criterion - best.error]
        return min(alike or [best], key=lambda trial: (len(trial.changes), -trial.criterion))


def tune(
    frame: Frame,
    settings: LearningSettings,
    *,
    seed: int = 0,
    seconds: float = float("inf"),
    on_trial: Report | None = None,
    clock: Callable[[], float] = perf_counter,
) -> Tuning:
    """Try all kinds, then steps, hidden layers, noise and widths of the code, in this order.

    Each step starts from the settings that `Tuning.advice` chooses among the trials so far. So the
    search keeps only clear improvements.

    Args:
        frame: normal records; not modified.
        settings: the present settings.
        seed: seed of trainings and plantings, the same for all trials.
        seconds: no new trial begins after this time; the present settings are always tried.
        on_trial: called with each trial when the trial is finished.
        clock: returns the time in seconds.

    Raises:
        FrameError: a configured column is missing or does not have its configured type.
        TrainingError: there are too few records, or the present settings do not fit.
    """
    # Only records of a working machine are judged, so that planted faults do not look idle.
    frame = at_work(frame, fit_operation(frame, settings.columns))
    columns = settings.columns.model_copy(
        update={"only_when": None, "settle": None, "wind_down": None}
    )
    settings = settings.model_copy(update={"columns": columns})
    if len(frame) < LEAST_RECORDS:
        raise TrainingError(
            f"{len(frame)} records are too few for a search; {LEAST_RECORDS} are needed",
            todo="wait for more records",
        )
    began = clock()
    frame = frame.take(np.argsort(frame.times, kind="stable"))
    trials: list[Trial] = []

    def attempt(changes: Changes) -> None:
        trials.append(_attempt(frame, settings, changes, seed, clock))
        if on_trial is not None:
            on_trial(trials[-1])

    attempt({})
    if trials[0].refusal:
        raise TrainingError(trials[0].refusal)
    features = fit_features(derive(frame, settings.columns)[0], settings.columns)
    for step in (_kinds, _steps, _hidden, _noises, _codes):
        base = Tuning(trials=tuple(trials), finished=False).advice.changes
        present = _changed(settings.detector, base)
        for key, value in step(present, features.width, len(features)):
            if clock() - began > seconds:
                return Tuning(trials=tuple(trials), finished=False)
            attempt(_differing(settings.detector, {**base, key: value}))
    return Tuning(trials=tuple(trials), finished=True)


def auroc(normal: Values, planted: Values) -> float:
    """Return the share of pairs in which the planted record scores above the normal record.

    Equal scores count half.

    This is the area under the receiver operating characteristic (Hanley & McNeil 1982).

    >>> auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, planted, side="left")
    upto = np.searchsorted(ordered, planted, side="right")
    return float((below + upto).mean() / (2 * len(normal)))


Step = Iterator[tuple[str, Any]]


def _kinds(present: DetectorSettings, _width: int, _features: int) -> Step:
    yield from (("kind", kind) for kind in KINDS if kind != present.kind)


def _codes(_present: DetectorSettings, width: int, _features: int) -> Step:
    codes = {max(1, round(share * width)) for share in CODE_SHARES}
    yield from (("code_size", code) for code in sorted(codes) if code < width)


def _noises(present: DetectorSettings, _width: int, _features: int) -> Step:
    if not KINDS[present.kind].at_once:  # noise has no effect if an equation gives the weights
        yield from (("noise", noise) for noise in NOISES if noise != present.noise)


def _hidden(present: DetectorSettings, _width: int, features: int) -> Step:
    if not KINDS[present.kind].at_once:
        yield from (("hidden_sizes", (factor * features,)) for factor in HIDDEN_FACTORS)


def _steps(present: DetectorSettings, _width: int, _features: int) -> Step:
    if not KINDS[present.kind].at_once:
        yield from (("steps", steps) for steps in STEPS if steps != present.steps)


def _attempt(
    frame: Frame,
    settings: LearningSettings,
    changes: Changes,
    seed: int,
    clock: Callable[[], float],
) -> Trial:
    """Return the trial of these changes, made with all folds."""
    began = clock()
    learning = settings.model_copy(update={"detector": _changed(settings.detector, changes)})
    folds = contiguous_folds(len(frame), FOLDS)
    found: list[dict[str, float]] = []
    flagged = 0
    try:
        for fold in range(FOLDS):
            detector = train_detector(frame.take(folds != fold), learning, seed)
            held_out = frame.take(folds == fold)
            judged = detector.judge(held_out)
            flagged += int(judged.anomalous.sum())
            records = Records(*detector.features(held_out))
            normal = judged.scores
            if detector.mode_scale is not None:  # planted faults are scored without this scale
                normal = detector.scorer.scores(*records)
            found.append({})
            for place, (name, plant) in enumerate(plantings(detector.feature_map).items()):
                planted = plant(
                    detector.feature_map, records, np.random.default_rng((seed, fold, place))
                )
                found[-1][name] = auroc(normal, detector.scorer.scores(*planted))
    except TrainingError as error:
        return Trial(changes=changes, refusal=str(error), seconds=clock() - began)
    means = np.array([np.mean(list(each.values())) for each in found])
    return Trial(
        changes=changes,
        criterion=float(means.mean()),
        error=float(means.std(ddof=1) / np.sqrt(FOLDS)),
        by_planting={
            name: float(np.mean([each[name] for each in found if name in each]))
            for name in found[0]
        },
        false_alarm_rate=flagged / len(frame),
        seconds=clock() - began,
    )


def _changed(detector: DetectorSettings, changes: Changes) -> DetectorSettings:
    return DetectorSettings.model_validate({**detector.model_dump(), **changes})


def _differing(detector: DetectorSettings, changes: Changes) -> Changes:
    """Return the changes that differ from the present settings."""
    return {key: value for key, value in changes.items() if getattr(detector, key) != value}
