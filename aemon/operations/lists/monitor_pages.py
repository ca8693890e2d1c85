"""Lists monitors with their states, in pages."""

from aemon.errors import NoResultsError
from aemon.operations.installation import Installation
from aemon.operations.lists.pages import Page, from_cursor, page_of
from aemon.operations.status_report import MonitorStatus, stored_status


def monitor_page(
    installation: Installation,
    name: str | None = None,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[MonitorStatus]:
    """Return the states of monitors, ordered by name.

    Args:
        installation: the installation.
        name: only the monitor of this name; None for all monitors.
        cursor: the cursor of the page; None for the first page.
        limit: largest number of monitors on the page.

    Raises:
        UnknownMonitorError: there is no such monitor.
        QueryError: the cursor is wrong.
        NoResultsError: there are no results yet.
    """
    after = from_cursor(cursor, [str])
    names = sorted(installation.monitors(name))
    if after is not None:
        names = [one for one in names if one > after[0]]
    found = stored_status(installation, names[: limit + 1])
    return page_of(found, limit, lambda monitor: [monitor.name])


def show_monitor(installation: Installation, name: str) -> MonitorStatus:
    """Return the state of a monitor.

    Raises:
        UnknownMonitorError: there is no such monitor.
        NoResultsError: there are no results yet, or no daemon has entered the monitor yet.
    """
    found = stored_status(installation, installation.monitors(name))
    if not found:
        raise NoResultsError(
            f"there are no results of {name} yet", todo=f"start the daemon: it enters {name}"
        )
    return found[0]
