"""From a monitor's settings to what its records are read from: its source, or its inbox."""

from functools import partial

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import is_stream, open_replayable, open_stream
from aemon.store.store import Store


def open_records(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Replayable:
    """Open a monitor's records for reading: its source, or the inbox where that is a stream.

    Raises:
        SourceConfigError: the address cannot be understood, or its driver is not installed.
    """
    if is_stream(settings.source):
        return InboxRecords(store, name)
    return open_replayable(settings.source, clock=clock)


def open_inbox(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Inbox | None:
    """Open the inbox of a monitor whose source is a stream; None where it is replayable.

    The stream itself is opened at the first need: what may be wrong with it ends no more than that.
    """
    if not is_stream(settings.source):
        return None
    keep = max(settings.max_training_records, settings.min_records or 0)
    return Inbox(partial(open_stream, settings.source, clock=clock), store, name, keep)
