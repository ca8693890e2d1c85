"""From the settings of CSV files to the source that reads them."""

from aemon.clock import Clock
from aemon.sources.csv.joined_files import JoinedFiles
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.source import Replayable


def open_files(settings: CsvSource, clock: Clock) -> Replayable:
    """Open files, joined by time where the settings say so."""
    return CsvFiles(settings) if settings.join is None else JoinedFiles(settings, clock)
