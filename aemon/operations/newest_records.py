"""The newest records of a monitor, for commands that look at them and change nothing."""

from contextlib import closing
from typing import TYPE_CHECKING

from aemon.operations.opening import opened_results

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.frame import Frame


def newest_records(config: "Config", name: str, limit: int) -> "Frame":
    """At most `limit` of a monitor's newest records, judged or not, oldest first.

    Those of a source that cannot be read twice are the ones the store has kept.

    Raises:
        AemonError: the source or the store cannot be read, or they do not fit.
    """
    from aemon.clock import utc_now
    from aemon.frame import check_frame
    from aemon.reading.inbox import KeptRecords
    from aemon.sources.source_kinds import open_source

    with closing(open_source(config.monitors[name].source, clock=utc_now)) as source:
        if source.replayable:
            return check_frame(source.newest(None, limit).table, source.roles)
    with opened_results(config) as store:
        kept = KeptRecords(store, name)
        return check_frame(kept.newest(None, limit).table, kept.roles)
