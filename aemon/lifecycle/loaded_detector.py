"""Detectors out of the store, ready to judge."""

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
from aemon.store.artifacts import pack, unpack
from aemon.store.detectors import StoredDetector, artifact, manifest_of
from aemon.store.store import Store

_SETTINGS = "threshold_settings"  # by which the lines of an artifact were drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A stored detector.

    Attributes:
        stored: its row.
        detector: with the lines that are in force.
        trained: the lines as drawn at training.
        trained_by: the settings those were drawn by; None if nobody wrote them down.
        drawn_by: the settings the lines in force were drawn by.
        reference: how the columns were spread in training; None if nobody wrote it down.
        shifts: (entity, since) of the new levels it learned.
        traffic: how records came in training.
    """

    stored: StoredDetector
    detector: Detector
    trained: Thresholds
    trained_by: ThresholdSettings | None
    drawn_by: ThresholdSettings | None
    reference: Reference | None
    shifts: tuple[tuple[str, str], ...] = ()
    traffic: UsualTraffic = field(default_factory=UsualTraffic)


def load(store: Store, stored: StoredDetector) -> Loaded:
    """A stored detector with the lines that are in force.

    Raises:
        ArtifactError: it cannot be read.
        StoreError: the database fails.
    """
    content = artifact(store, stored.artifact_sha256)
    manifest = manifest_of(store, stored.id) or {}
    drawn = artifact(store, stored.lines_sha256) if stored.lines_sha256 is not None else None
    try:
        return _loaded(stored, content, manifest, drawn)
    except (KeyError, TypeError, ValueError) as error:  # written by another version of aemon
        raise ArtifactError(
            f"detector {stored.version} cannot be read: {type(error).__name__}: {error}",
            todo="nothing: the daemon trains again by itself; or train with `aemon train`",
        ) from error


def _loaded(
    stored: StoredDetector, content: bytes, manifest: Mapping[str, Any], drawn: bytes | None
) -> Loaded:
    detector = Detector.from_state(*unpack(content, stored.artifact_sha256))
    trained_by = drawn_by_settings(manifest)
    noted = manifest.get("reference")
    thresholds, drawn_by = detector.thresholds, trained_by
    if drawn is not None and stored.lines_sha256 is not None:
        arrays, metadata = unpack(drawn, stored.lines_sha256)
        thresholds = thresholds_from(arrays, metadata)
        drawn_by = ThresholdSettings.model_validate(metadata[_SETTINGS])
    return Loaded(
        stored=stored,
        detector=replace(detector, thresholds=thresholds),
        trained=detector.thresholds,
        trained_by=trained_by,
        drawn_by=drawn_by,
        reference=Reference.from_json(noted) if noted else None,
        shifts=tuple((entity, since) for entity, since in manifest.get("shifts", ())),
        traffic=UsualTraffic.from_json(manifest.get("traffic")),
    )


def drawn_by_settings(manifest: Mapping[str, Any]) -> ThresholdSettings | None:
    """The settings a training drew its lines by; None if nobody wrote them down."""
    by = manifest.get("settings", {}).get("threshold")
    return ThresholdSettings.model_validate(by) if by else None


def packed_thresholds(
    thresholds: Thresholds, settings: ThresholdSettings
) -> tuple[bytes, dict[str, Any]]:
    """Lines as an artifact, and what `thresholds` says of them."""
    arrays, metadata = thresholds_state(thresholds)
    drawn = {**metadata, _SETTINGS: settings.model_dump(mode="json")}
    pooled = thresholds.pooled
    return pack(arrays, drawn), {
        "value": pooled.value,
        "method": pooled.method,
        "false_alarm_rate": pooled.false_alarm_rate,
        "calibration_records": pooled.records,
    }
