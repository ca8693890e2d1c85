"""The detector: everything learned from normal records, complete and immutable."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.config.schema import LearningSettings
from aemon.detection.autoencoder import Autoencoder, choose_shape
from aemon.detection.blame import blame
from aemon.detection.explanation import explain_records
from aemon.detection.feature_map import FeatureMap
from aemon.detection.features import fit_features
from aemon.detection.judgement import CRITICAL_EXCEEDANCE, Explanation, Judgement
from aemon.detection.provenance import (
    Provenance,
    as_datetime,
    hash_frame,
    versions,
)
from aemon.detection.scoring import (
    BLOCK_RECORDS,
    fit_whitening,
    reconstruction_errors,
    residuals_of,
    scores,
)
from aemon.detection.state import (
    autoencoder_from,
    autoencoder_state,
    feature_map_from,
    feature_map_state,
    hash_feature_map,
    threshold_from,
    threshold_state,
)
from aemon.detection.threshold import Threshold, calibrate, false_alarm_rate_for
from aemon.errors import TrainingError
from aemon.frame import Frame

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LEAST_RECORDS = 20
"""Fewer records than this cannot be cut into three slices that say anything."""

TRAIN_SHARE, VALIDATION_SHARE = 0.64, 0.16
"""Of the records in time order; the newest, a fifth, calibrate the threshold."""

ABSENT_SHARE = 0.5
"""A record with more than this share of its judged cells missing is absent, not odd."""

WHITENING_RECORDS = 10_000
"""At most this many residuals of the training slice help to shape the whitening."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """All that judging takes. Made by `train_detector` or `from_state`: none is ever unfitted.

    Attributes:
        feature_map: from columns to features.
        autoencoder: from features to their reconstruction.
        whitening: (M, F, F) from residuals to the scale of normal residuals.
        threshold: the line, and p-values.
        provenance: what it was trained on.
    """

    feature_map: FeatureMap
    autoencoder: Autoencoder
    whitening: Floats
    threshold: Threshold
    provenance: Provenance

    def judge(self, frame: Frame) -> Judgement:
        """The verdicts on N records that were fetched together; each as if it had come alone.

        Raises:
            FrameError: a column that was learned from is missing or has changed its type.
        """
        self.feature_map.check(frame)
        X, mask = self.feature_map.transform(frame)  # noqa: N806 -- (N, F)
        found = _scores(self.feature_map, self.autoencoder, self.whitening, X, mask)
        firsts = [place.start for _, place in self.feature_map.judged]
        missing = ~mask[:, firsts]  # (N, judged columns)
        imputed_shares = missing.mean(axis=1)
        absent = imputed_shares > ABSENT_SHARE
        exceedances = found / self.threshold.value
        anomalous = (found > self.threshold.value) & ~absent
        return Judgement(
            scores=found,
            p_values=self.threshold.judge(found),
            exceedances=exceedances,
            anomalous=anomalous,
            absent=absent,
            critical=anomalous & (exceedances >= CRITICAL_EXCEEDANCE),
            imputed_shares=imputed_shares,
            cells_imputed=int(missing.sum()),
        )

    def explain(self, frame: Frame) -> list[Explanation]:
        """Why each of a few records scored as it did, in original units.

        Raises:
            FrameError: a column that was learned from is missing.
        """
        X, mask = self.feature_map.transform(frame)  # noqa: N806 -- (N, F)
        residuals = residuals_of(self.autoencoder, X, mask).residuals
        errors = reconstruction_errors(residuals, mask, self.whitening, self.feature_map.weights)
        blamed, reconstruction = blame(
            self.feature_map, self.autoencoder, self.whitening, self.threshold.value, X, mask
        )
        return explain_records(self.feature_map, frame, errors, blamed, reconstruction)

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything as named arrays and JSON-able metadata; `from_state` takes them back."""
        map_arrays, map_metadata = feature_map_state(self.feature_map)
        line_arrays, line_metadata = threshold_state(self.threshold)
        arrays = {
            **map_arrays,
            **autoencoder_state(self.autoencoder),
            **line_arrays,
            "whitening": self.whitening,
        }
        metadata = {
            "feature_map": map_metadata,
            "threshold": line_metadata,
            "provenance": self.provenance.to_metadata(),
        }
        return arrays, metadata

    @classmethod
    def from_state(
        cls, arrays: dict[str, npt.NDArray[Any]], metadata: dict[str, Any]
    ) -> "Detector":
        """The inverse of `state`, exactly.

        Raises:
            KeyError: something is missing from either.
        """
        return cls(
            feature_map=feature_map_from(arrays, metadata["feature_map"]),
            autoencoder=autoencoder_from(arrays),
            whitening=arrays["whitening"],
            threshold=threshold_from(arrays, metadata["threshold"]),
            provenance=Provenance.from_metadata(metadata["provenance"]),
        )


def train_detector(
    frame: Frame,
    settings: LearningSettings,
    seed: int,
    *,
    progress: Callable[[float], None] | None = None,
) -> Detector:
    """Learn a detector from normal records.

    The records are cut, in the order of their event times, into three disjoint slices: the
    oldest train the autoencoder, the next decide when to stop and shape the whitening, the
    newest calibrate the threshold. So the line knows how far normal records drift in a fifth
    of their time; where they drift further, the promised rate is not kept.

    Args:
        frame: the records; not modified.
        settings: columns, detector and threshold.
        seed: the same records, settings and seed give the same detector.
        progress: called with the share of the training that is done.

    Raises:
        FrameError: a configured column is not there or is not of its configured kind.
        TrainingError: there is too little to learn from.
    """
    from aemon.detection.training import Slice, train_autoencoder

    started = perf_counter()
    if len(frame) < LEAST_RECORDS:
        raise TrainingError(
            f"{len(frame)} records are too few to learn from; it takes {LEAST_RECORDS}",
            todo="wait for more records, or raise min_records",
        )
    rate = false_alarm_rate_for(settings.threshold, frame.times)
    frame = frame.take(np.argsort(frame.times, kind="stable"))
    train_end = round(TRAIN_SHARE * len(frame))
    validation_end = round((TRAIN_SHARE + VALIDATION_SHARE) * len(frame))
    feature_map = fit_features(frame.take(slice(0, train_end)), settings.columns)
    shape = choose_shape(len(feature_map), settings.detector, width=feature_map.width)
    X, mask = feature_map.transform(frame)  # noqa: N806 -- (N, F)
    trained = train_autoencoder(
        Slice(features=X[:train_end], mask=mask[:train_end]),
        Slice(features=X[train_end:validation_end], mask=mask[train_end:validation_end]),
        feature_map.weights,
        shape,
        settings.detector,
        seed=seed,
        progress=progress,
    )
    rows = _whitening_rows(train_end, validation_end)
    normal = residuals_of(trained.autoencoder, X[rows], mask[rows]).residuals
    whitening = fit_whitening(normal, mask[rows], feature_map.weights, feature_map.floors)
    held_out = slice(validation_end, len(frame))
    calibration = _scores(feature_map, trained.autoencoder, whitening, X[held_out], mask[held_out])
    provenance = Provenance(
        trained_from=as_datetime(frame.times[0]),
        trained_until=as_datetime(frame.times[-1]),
        training_records=train_end,
        validation_records=validation_end - train_end,
        calibration_records=len(frame) - validation_end,
        seed=seed,
        steps=trained.steps,
        validation_error=trained.validation_error,
        settings_hash=settings.fingerprint,
        feature_map_hash=hash_feature_map(feature_map),
        data_hash=hash_frame(frame),
        versions=versions(),
        seconds=perf_counter() - started,
    )
    return Detector(
        feature_map=feature_map,
        autoencoder=trained.autoencoder,
        whitening=whitening,
        threshold=calibrate(calibration, rate),
        provenance=provenance,
    )


def _whitening_rows(train_end: int, validation_end: int) -> npt.NDArray[np.intp]:
    """Held-out residuals and as many of the training slice's, in even steps."""
    held_out = np.arange(train_end, validation_end)
    count = min(train_end, max(len(held_out), 1), WHITENING_RECORDS)
    training = np.linspace(0, train_end - 1, count).round().astype(np.intp)
    return np.concatenate([training, held_out])


def _scores(
    feature_map: FeatureMap,
    autoencoder: Autoencoder,
    whitening: Floats,
    X: Floats,  # noqa: N803 -- (N, F)
    mask: Mask,
) -> npt.NDArray[np.float64]:
    """Scores (N,) of features X (N, F), a block of records at a time."""
    found = np.zeros(len(X))
    for start in range(0, len(X), BLOCK_RECORDS):
        block = slice(start, start + BLOCK_RECORDS)
        residuals = residuals_of(autoencoder, X[block], mask[block]).residuals
        errors = reconstruction_errors(residuals, mask[block], whitening, feature_map.weights)
        found[block] = scores(errors, mask[block], feature_map.weights)
    return found
