"""Adds, lists and ends snoozes, which suppress a monitor's anomalies for a limited time."""

from datetime import UTC, datetime, timedelta

from aemon.errors import ConfigError, NotFoundError
from aemon.operations.installation import Installation
from aemon.records import Snooze
from aemon.store.snoozes import StoredSnooze, add_snooze, all_snoozes, find_snooze
from aemon.store.snoozes import end_snooze as end_stored_snooze


def snooze_anomalies(
    installation: Installation,
    monitor: str,
    *,
    lasts: timedelta | None = None,
    until: datetime | None = None,
    entity: str | None = None,
    note: str = "",
) -> StoredSnooze:
    """Suppress a monitor's anomalies from now until an end, and return the snooze.

    Args:
        installation: the installation.
        monitor: the monitor whose anomalies are suppressed.
        lasts: the length of the snooze; either `lasts` or `until` is given.
        until: the event time at which the snooze ends; UTC if the time has no zone.
        entity: only anomalies of this entity; None for all entities.
        note: the reason, for other people.

    Raises:
        ConfigError: there is no such monitor; or the end is missing, given twice, or in the past.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    now = installation.clock()
    snooze = Snooze(since=now, until=_end(now, lasts, until), entity=entity)
    store = installation.changing(
        "snooze", monitor, entity=entity, until=snooze.until.isoformat(), note=note
    )
    return _found(installation, add_snooze(store, monitor, snooze, note, installation.author))


def list_snoozes(
    installation: Installation, monitor: str | None = None, *, ended: bool = False
) -> tuple[StoredSnooze, ...]:
    """Return snoozes that have not ended, newest first; with `ended`, return all snoozes.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    names = installation.monitors(monitor)
    store = installation.store
    return tuple(all_snoozes(store, names, until=None if ended else store.now()))


def end_snooze(installation: Installation, number: int) -> StoredSnooze:
    """End a snooze now, and return the snooze.

    Raises:
        NotFoundError: there is no such snooze, or it has ended already.
        NoResultsError: there are no results yet.
    """
    known = find_snooze(installation.store, number)
    if (
        known is None
        or known.monitor not in installation.config.monitors
        or known.until <= installation.store.now()
    ):
        raise _nothing_to_end(number)
    if not end_stored_snooze(
        installation.changing("end_snooze", known.monitor, snooze=number), number
    ):
        raise _nothing_to_end(number)  # another request ended it just now
    return _found(installation, number)


def _nothing_to_end(number: int) -> NotFoundError:
    return NotFoundError(
        f"there is no snooze {number} to end", todo="`aemon snooze list` lists them"
    )


def _found(installation: Installation, number: int) -> StoredSnooze:
    snooze = find_snooze(installation.store, number)
    if snooze is None:  # removed by hand meanwhile
        raise NotFoundError(
            f"there is no snooze {number}", todo="`aemon snooze list` lists the snoozes"
        )
    return snooze


def _end(now: datetime, lasts: timedelta | None, until: datetime | None) -> datetime:
    if (lasts is None) == (until is None):
        raise ConfigError(
            "a snooze needs either --for or --until",
            todo="aemon snooze MONITOR --for 2h, or --until 2026-11-30T12:00:00",
        )
    if lasts is not None:
        return now + lasts
    ends = until or now
    ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
    if ends <= now:
        raise ConfigError(
            f"--until {ends:%Y-%m-%dT%H:%M:%S} is in the past", todo="give a future time, in UTC"
        )
    return ends
