"""The newest records of a monitor, for commands that look at them and change nothing."""

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from aemon.operations.opening import opened_results

if TYPE_CHECKING:
    from aemon.config.schema import Config
    from aemon.frame import Frame


def newest_records(config: "Config", name: str, limit: int) -> "Frame":
    """At most `limit` of a monitor's newest records, judged or not, oldest first.

    Those of a stream are the ones that the store keeps in its inbox.

    Raises:
        AemonError: the source or the store cannot be read, or they do not fit.
    """
    from aemon.clock import utc_now
    from aemon.frame import check_frame
    from aemon.reading.monitor_source import open_records
    from aemon.sources.source_kinds import is_stream, open_replayable

    settings = config.monitors[name]
    with ExitStack() as opened:
        if is_stream(settings.source):
            store = opened.enter_context(opened_results(config))
            records = open_records(name, settings, store, utc_now)
        else:  # no store is needed
            records = open_replayable(settings.source, clock=utc_now)
        opened.enter_context(closing(records))
        return check_frame(records.newest(None, limit).table, records.roles)
