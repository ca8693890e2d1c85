"""Opens a source of any kind from its settings."""

import importlib
from collections.abc import Callable
from typing import Any

from aemon.clock import Clock
from aemon.config.source_settings import SourceSettings
from aemon.errors import SourceConfigError
from aemon.sources.readings.cell_quality import GoodCells
from aemon.sources.readings.settings import ReadingsSettings
from aemon.sources.readings.source import Readings
from aemon.sources.source import ChecksApart, Replayable, Source, Stream


def is_stream(settings: SourceSettings) -> bool:
    """Return True for the settings of a stream, False for the settings of a replayable source."""
    return settings.is_stream


def open_replayable(settings: SourceSettings, *, clock: Clock) -> Replayable:
    """Open a replayable source; the source neither connects nor reads before the first call.

    Raises:
        SourceConfigError: the address is not valid, or its driver is not installed.
    """
    source: Replayable = opener(settings)(settings, clock)
    if isinstance(settings, ReadingsSettings) and settings.holds_readings:
        return Readings(source, settings, clock)
    if isinstance(settings, ReadingsSettings) and settings.cell_qualities:
        return GoodCells(source, settings.cell_qualities)
    return source


def open_stream(settings: SourceSettings, *, clock: Clock) -> Stream:
    """Open a stream; the stream does not listen before the first call.

    Raises:
        SourceConfigError: the address is not valid, or its driver is not installed.
    """
    stream: Stream = opener(settings)(settings, clock)
    return stream


def check_apart(source: Source) -> None:
    """Raise an error if the records of a source's entities cannot be distinguished.

    The check is made before training.

    Raises:
        SourceConfigError: no column or key shows which records belong together.
        SourceError: the source cannot be read.
    """
    if isinstance(source, ChecksApart):
        source.check_apart()


def opener(settings: SourceSettings) -> Callable[[Any, Clock], Any]:
    """Import and return the function that opens sources of a kind.

    Raises:
        SourceConfigError: a package that the kind needs is not installed.
    """
    module, _, name = settings.opened_by.partition(":")
    try:
        found: Callable[[Any, Clock], Any] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise SourceConfigError(
            f"a source of kind {settings.kind} needs the module {error.name}, which is not installed",
            todo="install the package with this module, or the extra of aemon that contains it",
        ) from None
    return found
