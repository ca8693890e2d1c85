"""Opens the source that the settings of CSV files describe."""

from aemon.clock import Clock
from aemon.sources.csv.joined_files import JoinedFiles
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.source import Replayable


def open_files(settings: CsvSource, clock: Clock) -> Replayable:
    """Return a source of the files; the setting `join` joins all files by time."""
    return CsvFiles(settings) if settings.join is None else JoinedFiles(settings, clock)
