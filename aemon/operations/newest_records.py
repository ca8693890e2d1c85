"""Reads the newest records of a monitor, for operations that do not change the store."""

from contextlib import closing

from aemon.frame import Frame
from aemon.operations.installation import Installation
from aemon.reading.monitor_source import open_records
from aemon.reading.reader import Reader
from aemon.sources.source_kinds import is_stream, open_replayable


def newest_records(installation: Installation, name: str, limit: int) -> Frame:
    """Return at most `limit` of a monitor's newest records, judged or not, oldest first.

    The records of a stream are read from the inbox in the store.

    Raises:
        AemonError: the source or the store cannot be read, or the records do not fit the settings.
    """
    settings, clock = installation.config.monitors[name], installation.clock
    records = (
        open_records(name, settings, installation.store, clock)
        if is_stream(settings.source)
        else open_replayable(settings.source, clock=clock)  # no store is needed
    )
    with closing(records):
        return Reader(records).newest(None, limit).frame
