"""Opens the records of a monitor: a stream is read from its inbox, every other source directly."""

from functools import partial

from aemon.clock import Clock
from aemon.config.schema import MonitorSettings
from aemon.config.source_settings import SourceSettings
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.open_buckets import OpenBuckets
from aemon.sources.readings.cell_quality import GoodCells
from aemon.sources.readings.settings import ReadingsSettings
from aemon.sources.source import Replayable
from aemon.sources.source_kinds import is_stream, open_replayable, open_stream
from aemon.store.store import Store


def open_records(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Replayable:
    """Open the records of a monitor: a stream from its inbox, every other source directly.

    Raises:
        SourceConfigError: the address is not valid, or its driver is not installed.
    """
    if is_stream(settings.source):
        return _inbox_records(name, settings.source, store)
    return open_replayable(settings.source, clock=clock)


def open_inbox(name: str, settings: MonitorSettings, store: Store, clock: Clock) -> Inbox | None:
    """Return the inbox of a monitor if its source is a stream; None for other sources.

    The inbox opens the stream later, when it is first needed, so that an error of the stream does
    not end the daemon.
    """
    if not is_stream(settings.source):
        return None
    keep = max(settings.max_training_records, settings.min_records or 0)
    opened = partial(open_stream, settings.source, clock=clock)
    return Inbox(opened, store, name, keep, open_buckets(name, settings.source, store))


def open_buckets(name: str, source: SourceSettings, store: Store) -> OpenBuckets | None:
    """Return the open buckets of a monitor if its stream delivers readings; None otherwise."""
    if isinstance(source, ReadingsSettings) and source.holds_readings:
        return OpenBuckets(source, store, name)
    return None


def _inbox_records(name: str, source: SourceSettings, store: Store) -> Replayable:
    """Return the kept records of a stream, without the cells of bad quality."""
    if not isinstance(source, ReadingsSettings) or source.holds_readings:
        return InboxRecords(store, name)
    qualities = source.cell_qualities
    if not qualities:
        return InboxRecords(store, name)
    named = [column for name, one in qualities.items() for column in (name, one.column)]
    return GoodCells(InboxRecords(store, name, columns=named), qualities)
