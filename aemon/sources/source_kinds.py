"""From a source's settings to the source: one table line a kind."""

from collections.abc import Callable
from typing import Any

from aemon.clock import Clock
from aemon.config import source_settings
from aemon.sources.csv.source import CsvFiles
from aemon.sources.host.source import Host
from aemon.sources.source import Source
from aemon.sources.sql.source import SqlTable

_KINDS: dict[type[object], Callable[[Any, Clock], Source]] = {
    source_settings.SqlSource: SqlTable,
    source_settings.CsvSource: lambda settings, _clock: CsvFiles(settings),
    source_settings.HostSource: lambda settings, clock: Host(settings, clock=clock),
}


def open_source(settings: source_settings.Source, *, clock: Clock) -> Source:
    """The source for these settings; nothing is connected or read before the first call.

    Raises:
        SourceConfigError: the address cannot be understood, or its driver is not installed.
    """
    return _KINDS[type(settings)](settings, clock)
