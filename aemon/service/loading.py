"""Detectors out of the store, ready to judge."""

from dataclasses import replace

from aemon.detection.detector import Detector
from aemon.detection.state import lines_from
from aemon.store.artifacts import unpack
from aemon.store.detectors import StoredDetector, artifact
from aemon.store.store import Store


def load_detector(store: Store, stored: StoredDetector) -> Detector:
    """A stored detector with the lines that are in force.

    Raises:
        ArtifactError: it cannot be read.
        StoreError: the database fails.
    """
    content = artifact(store, stored.artifact_sha256)
    detector = Detector.from_state(*unpack(content, stored.artifact_sha256))
    if stored.lines_sha256 is None:
        return detector
    drawn = artifact(store, stored.lines_sha256)
    return replace(detector, lines=lines_from(*unpack(drawn, stored.lines_sha256)))
