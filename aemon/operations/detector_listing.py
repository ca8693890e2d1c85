"""Lists of detectors and of the kinds of detector, and the description of a detector."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from aemon.operations.installation import Installation
from aemon.store.detectors import detector_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedDetector:
    """A trained detector, as lists of detectors show it."""

    monitor: str
    version: int
    state: str
    state_reason: str
    asked_by: str
    trained_at: datetime
    training_records: int
    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorDescription:
    """The stored description of a detector and of its newest threshold.

    Attributes:
        manifest: the choice of the training records and the settings; None for a detector that was
            trained before aemon wrote manifests.
        artifact_sha256: hash of the weights; None if retention has removed the weights.
        lines_sha256: hash of thresholds that were computed after the training; None without such
            thresholds.
    """

    id: int
    monitor: str
    version: int
    state: str
    trained_at: datetime
    trained_from: datetime
    trained_until: datetime
    training_records: int
    validation_records: int
    calibration_records: int
    seed: int
    validation_error: float
    settings_hash: str
    feature_map_hash: str
    data_hash: str
    versions: Mapping[str, str]
    manifest: Mapping[str, Any] | None
    artifact_sha256: str | None
    asked_by: str
    state_at: datetime | None
    state_reason: str
    threshold_id: int
    threshold: float
    method: str
    lines_sha256: str | None
    false_alarm_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedKind:
    """A kind of detector, with its name in a configuration and a short summary."""

    kind: str
    summary: str


def list_detectors(
    installation: Installation, monitor: str | None = None
) -> tuple[ListedDetector, ...]:
    """Return every trained detector, the oldest of each monitor first.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    names = installation.monitors(monitor)
    columns = [field.name for field in fields(ListedDetector)]
    return tuple(
        ListedDetector(**{name: row[name] for name in columns})
        for name in names
        for row in detector_rows(installation.store, name)
    )


def show_detector(
    installation: Installation, version: int, monitor: str | None = None
) -> DetectorDescription:
    """Return the description of a detector: its training records, its state and its threshold.

    Raises:
        ConfigError: there is no such monitor, or there are several monitors and none is named.
        DetectorError: the monitor has no detector of this version.
        NoResultsError: there are no results yet.
    """
    from aemon.lifecycle.rebuilding import find_detector

    row = find_detector(installation.store, installation.monitor(monitor), version)
    return DetectorDescription(
        **{field.name: row[field.name] for field in fields(DetectorDescription)}
    )


def list_kinds() -> tuple[ListedKind, ...]:
    """Return the kinds of detector that a configuration may name, the default first."""
    from aemon.detection.autoencoders.kinds.detector_kinds import KINDS

    return tuple(ListedKind(kind=name, summary=kind.summary) for name, kind in KINDS.items())
