"""The newest records of a monitor, for operations that look at them and change nothing."""

from contextlib import closing

from aemon.frame import Frame, check_frame
from aemon.operations.installation import Installation
from aemon.reading.inbox import KeptRecords
from aemon.sources.source_kinds import open_source


def newest_records(installation: Installation, name: str, limit: int) -> Frame:
    """Return at most `limit` of a monitor's newest records, judged or not, oldest first.

    Those of a source that cannot be read twice are the ones the store has kept.

    Raises:
        AemonError: the source or the store cannot be read, or they do not fit.
    """
    settings = installation.config.monitors[name].source
    with closing(open_source(settings, clock=installation.clock)) as source:
        if source.replayable:
            return check_frame(source.newest(None, limit).table, source.roles)
    kept = KeptRecords(installation.store, name)
    return check_frame(kept.newest(None, limit).table, kept.roles)
