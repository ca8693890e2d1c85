"""Converts a trained detector to rows of the store, without writing to the store."""

from aemon.detection.detector import Detector
from aemon.records import Watermark
from aemon.store.artifacts import pack
from aemon.store.detectors import NewDetector


def detector_rows(detector: Detector, watermark: Watermark | None, source: str) -> NewDetector:
    """Return the rows that store a trained detector.

    Args:
        detector: the trained detector.
        watermark: watermark after the training records; None if the watermark does not change.
        source: identity of the source to which the watermark belongs.
    """
    arrays, metadata = detector.state()
    provenance = detector.provenance
    names = (
        "trained_from", "trained_until", "training_records", "validation_records",
        "calibration_records", "seed", "validation_error", "settings_hash", "feature_map_hash",
        "data_hash", "versions",
    )  # fmt: skip
    return NewDetector(
        artifact=pack(arrays, metadata),
        columns={name: getattr(provenance, name) for name in names},
        threshold={
            "value": detector.threshold.value,
            "method": detector.threshold.method,
            "false_alarm_rate": detector.threshold.false_alarm_rate,
            "calibration_records": provenance.calibration_records,
        },
        watermark=watermark,
        source=source,
    )
