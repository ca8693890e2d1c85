"""Trains a detector again from its manifest, and compares the result with the stored detector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import identity
from aemon.detection.detector import Detector
from aemon.detection.provenance import versions
from aemon.errors import ConfigError, DetectorError, UnknownDetectorError
from aemon.frame import Frame
from aemon.lifecycle.training_records import choose_again
from aemon.lifecycle.training_run import learn_again
from aemon.reading.monitor_source import open_records
from aemon.store.artifacts import artifact, unpack
from aemon.store.detectors import detector_row
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """The comparison of a detector with the result of training the detector again.

    Attributes:
        version: version of the stored detector.
        records: number of records in the new training.
        same_records: whether both trainings used the same records, by their hash.
        same_features: whether both feature maps are the same.
        largest_gap: largest difference between the two scores of a record, relative to the first
            score; None if the weights of the stored detector were removed.
        same_threshold: whether both thresholds are the same.
        other_versions: library -> (version then, version now), for libraries that changed.
    """

    version: int
    records: int
    same_records: bool
    same_features: bool
    largest_gap: float | None
    same_threshold: bool
    other_versions: Mapping[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether records, features, thresholds and scores are the same.

        If the scores are unknown, they are not compared.
        """
        return (
            self.same_records
            and self.same_features
            and self.same_threshold
            and not self.largest_gap
        )


def rebuild(
    name: str, settings: MonitorSettings, store: Store, clock: Clock, version: int
) -> Rebuilt:
    """Train a detector again from its manifest, and compare; do not store the new detector.

    Raises:
        DetectorError: the detector does not exist, or has no manifest.
        ConfigError: the monitor has a different source now.
        AemonError: the source or the store fails.
    """
    row = find_detector(store, name, version)
    manifest = row["manifest"]
    if manifest is None:
        raise DetectorError(
            f"{name}: detector {version} was trained before aemon wrote manifests",
            todo="train again with `aemon train`",
        )
    if manifest["source"] != identity(settings.source):
        raise ConfigError(
            f"{name}: detector {version} was trained from a different source: {manifest['source']}",
            todo="configure that source again to rebuild the detector",
        )
    source = open_records(name, settings, store, clock)
    try:
        frame = choose_again(source, store, name, row)
    finally:
        source.close()
    again = learn_again(frame, manifest, row["seed"])
    now = versions()
    return Rebuilt(
        version=version,
        records=len(frame),
        same_records=again.provenance.data_hash == row["data_hash"],
        same_features=again.provenance.feature_map_hash == row["feature_map_hash"],
        largest_gap=_largest_gap(store, row["artifact_sha256"], again, frame),
        same_threshold=again.threshold.value == manifest["lines"]["drawn"]["pooled"],
        other_versions={
            library: (then, now[library])
            for library, then in row["versions"].items()
            if now.get(library, then) != then
        },
    )


def find_detector(store: Store, name: str, version: int) -> dict[str, Any]:
    """Return the stored row of a detector.

    Raises:
        UnknownDetectorError: there is no detector of that version.
        StoreError: the database fails.
    """
    row = detector_row(store, name, version)
    if row is None:
        raise UnknownDetectorError(
            f"{name} has no detector {version}", todo="`aemon detectors list` shows all versions"
        )
    return row


def _largest_gap(store: Store, sha256: str | None, again: Detector, frame: Frame) -> float | None:
    if sha256 is None:
        return None
    arrays, metadata = unpack(artifact(store, sha256), sha256)
    first = Detector.from_state(arrays, metadata).judge(frame).scores
    gaps = np.abs(again.judge(frame).scores - first) / np.maximum(np.abs(first), 1e-12)
    return float(np.nanmax(gaps, initial=0.0))
