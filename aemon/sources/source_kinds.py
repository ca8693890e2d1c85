"""From a source's settings to the source: one table line a kind."""

from collections.abc import Callable
from typing import Any

from aemon.clock import Clock
from aemon.config import source_settings
from aemon.sources.csv.joined_files import JoinedFiles
from aemon.sources.csv.source import CsvFiles
from aemon.sources.host.source import Host
from aemon.sources.source import Replayable, Stream
from aemon.sources.sql.source import SqlTable

_REPLAYABLE: dict[type[object], Callable[[Any, Clock], Replayable]] = {
    source_settings.SqlSource: SqlTable,
    source_settings.CsvSource: lambda settings, clock: (
        CsvFiles(settings) if settings.join is None else JoinedFiles(settings, clock)
    ),
}
_STREAMS: dict[type[object], Callable[[Any, Clock], Stream]] = {
    source_settings.HostSource: lambda settings, clock: Host(settings, clock=clock),
}


def is_stream(settings: source_settings.Source) -> bool:
    """Return whether these are the settings of a stream; if not, of a replayable source."""
    return type(settings) in _STREAMS


def open_replayable(settings: source_settings.Source, *, clock: Clock) -> Replayable:
    """Open a replayable source; nothing is connected or read before the first call.

    Raises:
        SourceConfigError: the address cannot be understood, or its driver is not installed.
    """
    return _REPLAYABLE[type(settings)](settings, clock)


def check_apart(source: Replayable) -> None:
    """Refuse a source whose records cannot be told apart, before anything is learned from them.

    Raises:
        SourceConfigError: nothing tells which records belong together.
        SourceError: it cannot be read.
    """
    if isinstance(source, CsvFiles):
        source.check_apart()


def open_stream(settings: source_settings.Source, *, clock: Clock) -> Stream:
    """Open a stream; it does not listen before the first call.

    Raises:
        SourceConfigError: the address cannot be understood, or its driver is not installed.
    """
    return _STREAMS[type(settings)](settings, clock)
