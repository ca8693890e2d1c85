"""CSV files for tests: written, opened and read as a daemon would."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def opened(path: Path, **settings) -> CsvFiles:
    return CsvFiles(CsvSource(path=path, **({"time": "ts"} | settings)))


def lines(count: int, first: int = 0, level: int = 0) -> list[str]:
    """Lines of one minute each: `ts,flow,pressure`, without an end."""
    return [
        f"{BEGIN + timedelta(minutes=n):%Y-%m-%d %H:%M:%S},{level + n},{2 * n}"
        for n in range(first, first + count)
    ]


HEADER = "ts,flow,pressure"


def content(count: int, first: int = 0, level: int = 0) -> str:
    """A whole file of such lines."""
    return "\n".join([HEADER, *lines(count, first, level), ""])


class Follower:
    """Reads what is new, again and again, as a monitor does."""

    def __init__(self, path: Path, **settings) -> None:
        self.source = opened(path, **settings)
        self.mark = None
        self.keys: list[str] = []
        self.warnings: list[str] = []

    def read(self, limit: int = 1000) -> list[float]:
        """The flow of the new records."""
        found, more = [], True
        while more:
            fetched = self.source.fetch(self.mark, limit)
            self.mark, more = fetched.watermark, fetched.more
            found.append(fetched.table)
            self.keys += fetched.table[self.source.roles.key].tolist()
            self.warnings += fetched.warnings
        tables = [table for table in found if len(table)]
        return pd.concat(tables)["flow"].tolist() if tables else []
