"""Loads stored detectors for judging."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.drift.column_drift import Reference
from aemon.detection.state import thresholds_from, thresholds_state
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.traffic.traffic import UsualTraffic
from aemon.errors import ArtifactError
from aemon.store.artifacts import artifact, pack, unpack
from aemon.store.detectors import StoredDetector, manifest_of
from aemon.store.store import Store

_SETTINGS = "threshold_settings"  # key of the settings that computed an artifact's thresholds


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A stored detector that is loaded for judging.

    Attributes:
        stored: stored row of the detector.
        detector: the detector, with its present thresholds.
        trained: thresholds as computed in training.
        trained_by: threshold settings of the training; None if they were not stored.
        computed_by: settings that computed the present thresholds; None if they were not stored.
        reference: distributions of the columns in training; None if they were not stored.
        shifts: (entity, start time) of each new level that the detector was trained on.
        traffic: rate and pauses of records in training.
    """

    stored: StoredDetector
    detector: Detector
    trained: Thresholds
    trained_by: ThresholdSettings | None
    computed_by: ThresholdSettings | None
    reference: Reference | None
    shifts: tuple[tuple[str, str], ...] = ()
    traffic: UsualTraffic = field(default_factory=UsualTraffic)


def load(store: Store, stored: StoredDetector) -> Loaded:
    """Load a stored detector with its present thresholds.

    Raises:
        ArtifactError: the detector cannot be read.
        StoreError: the database fails.
    """
    content = artifact(store, stored.artifact_sha256)
    manifest = manifest_of(store, stored.id) or {}
    moved = artifact(store, stored.lines_sha256) if stored.lines_sha256 is not None else None
    try:
        return _loaded(stored, content, manifest, moved)
    except (KeyError, TypeError, ValueError) as error:  # written by another version of aemon
        raise ArtifactError(
            f"detector {stored.version} cannot be read: {type(error).__name__}: {error}",
            todo="nothing to do: the daemon trains again; or train now with `aemon train`",
        ) from error


def _loaded(
    stored: StoredDetector, content: bytes, manifest: Mapping[str, Any], moved: bytes | None
) -> Loaded:
    detector = Detector.from_state(*unpack(content, stored.artifact_sha256))
    trained_by = threshold_settings_of(manifest)
    noted = manifest.get("reference")
    thresholds, computed_by = detector.thresholds, trained_by
    if moved is not None and stored.lines_sha256 is not None:
        arrays, metadata = unpack(moved, stored.lines_sha256)
        thresholds = thresholds_from(arrays, metadata)
        computed_by = ThresholdSettings.model_validate(metadata[_SETTINGS])
    return Loaded(
        stored=stored,
        detector=replace(detector, thresholds=thresholds),
        trained=detector.thresholds,
        trained_by=trained_by,
        computed_by=computed_by,
        reference=Reference.from_json(noted) if noted else None,
        shifts=tuple((entity, since) for entity, since in manifest.get("shifts", ())),
        traffic=UsualTraffic.from_json(manifest.get("traffic")),
    )


def threshold_settings_of(manifest: Mapping[str, Any]) -> ThresholdSettings | None:
    """Return the threshold settings of a training; None if the manifest has none."""
    stored = manifest.get("settings", {}).get("threshold")
    return ThresholdSettings.model_validate(stored) if stored else None


def packed_thresholds(
    thresholds: Thresholds, settings: ThresholdSettings
) -> tuple[bytes, dict[str, Any]]:
    """Return thresholds in two forms: as an artifact, and as columns of the table `thresholds`."""
    arrays, metadata = thresholds_state(thresholds)
    metadata = {**metadata, _SETTINGS: settings.model_dump(mode="json")}
    pooled = thresholds.pooled
    return pack(arrays, metadata), {
        "value": pooled.value,
        "method": pooled.method,
        "false_alarm_rate": pooled.false_alarm_rate,
        "calibration_records": pooled.records,
    }
