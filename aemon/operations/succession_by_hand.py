"""Promotes, rolls back, compares and rebuilds detectors at a person's request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aemon.errors import DetectorError
from aemon.operations.installation import Installation
from aemon.store.detectors import active_detector
from aemon.store.store import StaleWatermarkError
from aemon.store.succession import promote, version_before

if TYPE_CHECKING:
    from aemon.lifecycle.comparing import Compared
    from aemon.lifecycle.rebuilding import Rebuilt


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """The result of a change of the active detector.

    Attributes:
        monitor: name of the monitor.
        version: version of the new active detector, which judges from the next run on.
        instead_of: version of the previous active detector; None if no detector was active.
    """

    monitor: str
    version: int
    instead_of: int | None


def promote_detector(
    installation: Installation, version: int, monitor: str | None = None
) -> Promotion:
    """Make a detector active without regard to its trial; the next run uses the detector.

    Raises:
        ConfigError: there is no such monitor, or there are several monitors and none is named.
        DetectorError: there is no such detector, it is active already, or its weights were removed.
        NoResultsError: there are no results yet.
    """
    from aemon.lifecycle.rebuilding import find_detector

    name = installation.monitor(monitor)
    row = find_detector(installation.store, name, version)
    return _make_active(installation, name, row["id"], version, "promoted")


def roll_back_detector(installation: Installation, monitor: str | None = None) -> Promotion:
    """Make the previous active detector active again; the next run uses this detector.

    Raises:
        ConfigError: there is no such monitor, or there are several monitors and none is named.
        DetectorError: there is no previous detector, or its weights were removed.
        NoResultsError: there are no results yet.
    """
    name = installation.monitor(monitor)
    detector_id, version = version_before(installation.store, name)
    return _make_active(installation, name, detector_id, version, "rolled back")


def compare_detectors(
    installation: Installation,
    version: int,
    other: int | None = None,
    *,
    monitor: str | None = None,
    records: int = 1000,
) -> "Compared":
    """Judge the newest judged records with two detectors, and return the comparison.

    The store is not changed.

    Args:
        installation: the installation.
        version: the version of the first detector.
        other: the version of the second detector; None for the active detector.
        monitor: the monitor of the detectors; needed if there are several monitors.
        records: largest number of records to judge.

    Raises:
        ConfigError: there is no such monitor, or there are several monitors and none is named.
        DetectorError: there is no such detector, its weights were removed, or no records were
            judged.
        FrameError: the records no longer have the columns on which a detector was trained.
        AemonError: the source or the store cannot be read.
    """
    from aemon.lifecycle import comparing

    name = installation.monitor(monitor)
    settings = installation.config.monitors[name]
    return comparing.compare_detectors(
        name, settings, installation.store, installation.clock, (version, other), records
    )


def rebuild_detector(
    installation: Installation, version: int, monitor: str | None = None
) -> "Rebuilt":
    """Train a detector again from its manifest, and compare it with the stored detector.

    The store is not changed.

    Raises:
        ConfigError: there is no such monitor, there are several monitors and none is named, or
            the monitor has a different source now.
        DetectorError: there is no such detector, or it has no manifest.
        AemonError: the source or the store cannot be read.
    """
    from aemon.lifecycle import rebuilding

    name = installation.monitor(monitor)
    settings = installation.config.monitors[name]
    return rebuilding.rebuild(name, settings, installation.store, installation.clock, version)


def _make_active(
    installation: Installation, name: str, detector_id: int, version: int, how: str
) -> Promotion:
    action = "promote" if how == "promoted" else "roll_back"
    store = installation.changing(action, name, detector=version)
    author = installation.author or "a person"
    active = active_detector(store, name)
    if active is not None and active.id == detector_id:
        raise DetectorError(
            f"{name}: detector {version} is active already",
            todo="do nothing, or name another detector",
        )
    try:
        promote(
            store, name, detector_id, f"{how} by {author}",
            instead_of=active.id if active else None,
        )  # fmt: skip
    except StaleWatermarkError as error:
        raise DetectorError(
            f"{name}: detector {version} cannot be made active: its weights were removed, or "
            "another detector became active just now",
            todo="see `aemon detectors list`",
        ) from error
    return Promotion(monitor=name, version=version, instead_of=active.version if active else None)
