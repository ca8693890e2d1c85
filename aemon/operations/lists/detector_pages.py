"""Lists detectors in pages, and describes a detector with its thresholds and its trial."""

from dataclasses import dataclass, fields

from aemon.errors import UnknownDetectorError
from aemon.operations.detector_listing import DetectorDescription, ListedDetector
from aemon.operations.installation import Installation
from aemon.operations.lists.pages import Page, from_cursor, page_of
from aemon.records import DetectorState
from aemon.store.detectors import detector_row
from aemon.store.lists.detectors_listed import (
    ThresholdRow,
    detector_list,
    judged_by,
    threshold_rows,
)
from aemon.store.queries import Flagged
from aemon.store.succession import Trial, find_trial


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorReport:
    """A detector with all its thresholds, its counts and its trial.

    Attributes:
        detector: the training records, seed, hashes, state and newest threshold of the detector.
        thresholds: all thresholds of the detector, oldest first.
        realised: number of records that the detector judged and flagged as the active detector.
        trial: the comparison with the active detector; None if there was no trial.
    """

    detector: DetectorDescription
    thresholds: tuple[ThresholdRow, ...]
    realised: Flagged
    trial: Trial | None


def detector_page(
    installation: Installation,
    monitor: str | None = None,
    *,
    states: tuple[DetectorState, ...] | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[ListedDetector]:
    """Return detectors, ordered by monitor and version.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    after = from_cursor(cursor, [str, int])
    found = detector_list(
        installation.store,
        installation.monitors(monitor),
        [field.name for field in fields(ListedDetector)],
        limit=limit + 1,
        states=states,
        after=None if after is None else (after[0], after[1]),
    )
    listed = [ListedDetector(**row) for row in found]
    return page_of(listed, limit, lambda one: [one.monitor, one.version])


def detector_report(installation: Installation, monitor: str, version: int) -> DetectorReport:
    """Return a detector with all its thresholds, its counts and its trial.

    Raises:
        UnknownMonitorError: there is no such monitor.
        UnknownDetectorError: the monitor has no detector of this version.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    store = installation.store
    row = detector_row(store, monitor, version)
    if row is None:
        raise UnknownDetectorError(
            f"{monitor} has no detector {version}", todo="`aemon detectors list` shows all versions"
        )
    described = {field.name: row[field.name] for field in fields(DetectorDescription)}
    return DetectorReport(
        detector=DetectorDescription(**described),
        thresholds=tuple(threshold_rows(store, row["id"])),
        realised=judged_by(store, monitor, row["id"], row["trained_at"]),
        trial=find_trial(store, row["id"]),
    )
