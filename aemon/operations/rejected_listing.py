"""Lists rejected records, with the reason and the original text."""

from datetime import datetime

from aemon.operations.installation import Installation
from aemon.store.inbox.rejected_records import RejectedRecord, newest_rejected


def list_rejected_records(
    installation: Installation,
    monitor: str | None = None,
    *,
    since: datetime | None = None,
    limit: int = 20,
) -> tuple[RejectedRecord, ...]:
    """Return rejected records, newest first.

    Args:
        installation: the installation.
        monitor: only records of this monitor; None for all monitors.
        since: only records that were rejected at or after this time, aware; None for all times.
        limit: largest number of records.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    names = installation.monitors(monitor)
    return tuple(newest_rejected(installation.store, names, limit, since))
