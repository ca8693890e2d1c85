"""Opening the records of a monitor by its settings, from its source or from its inbox."""

from functools import partial

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import is_stream, open_replayable, open_stream
from aemon.store.store import Store


def open_records(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Replayable:
    """Open the records of a monitor for reading, from its source, or for a stream from its inbox.

    Raises:
        SourceConfigError: the address is not valid, or its driver is not installed.
    """
    if is_stream(settings.source):
        return InboxRecords(store, name)
    return open_replayable(settings.source, clock=clock)


def open_inbox(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Inbox | None:
    """Return the inbox of a monitor if its source is a stream; None for other sources.

    The inbox opens the stream later, when it is first needed, so that an error of the stream does
    not end the daemon.
    """
    if not is_stream(settings.source):
        return None
    keep = max(settings.max_training_records, settings.min_records or 0)
    return Inbox(partial(open_stream, settings.source, clock=clock), store, name, keep)
