"""A check that entity, key or time distinguishes the records of several files."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import numpy.typing as npt

from aemon.errors import SourceConfigError

OVERLAP_SHARE = 0.5
"""Two files were written in parallel if they share more than this part of the shorter period."""

MOST_COMPARED = 200
"""At most this many files are compared: the first in the order of names."""

RECORDS_COMPARED = 20
"""Number of records read at each end of a file.

A very short file is not compared, because it may be only a test file.
"""

_MOST_COLUMNS = 5  # in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The time range of a file, and its columns without the columns of time, key and entity.

    `begin` and `end` are seconds since 1970.
    """

    name: str
    columns: frozenset[str]
    begin: float
    end: float

    def overlaps(self, other: "Sample") -> bool:
        """Return whether two files were written in parallel, not one after the other."""
        shorter = min(self.end - self.begin, other.end - other.begin)
        shared = min(self.end, other.end) - max(self.begin, other.begin)
        return shorter > 0 and shared > OVERLAP_SHARE * shorter


def sample_of(name: str, columns: Iterable[str], times: npt.NDArray[np.datetime64]) -> list[Sample]:
    """Return the sample of a file as a list; empty if none of its times (N,) can be read."""
    seconds = times[~np.isnat(times)].astype("datetime64[us]").astype(np.int64) / 1e6
    if not len(seconds):
        return []
    begin, end = float(seconds.min()), float(seconds.max())
    return [Sample(name=name, columns=frozenset(columns), begin=begin, end=end)]


def check_apart(samples: Iterable[Sample], *, keyed: bool) -> None:
    """Raise an error if files cover the same times and their records cannot be distinguished.

    Args:
        samples: a sample of each file.
        keyed: whether a column identifies the records.

    Raises:
        SourceConfigError: two files cover the same times. With common columns and no key, they may
            belong to two devices; without common columns, each may hold a part of every record.
    """
    for one, other in combinations(samples, 2):
        if not one.overlaps(other):
            continue
        begin, end = max(one.begin, other.begin), min(one.end, other.end)
        start = f"{one.name} and {other.name} cover the same times, {_time(begin)} to {_time(end)}"
        if not one.columns & other.columns:
            raise SourceConfigError(
                f"{start}, and have no columns in common: {_listed(one)} in one file, {_listed(other)} "
                "in the other; so each file holds a part of every record",
                todo="join the files by time (join: time), or read each file by its own monitor",
            )
        if not keyed:
            raise SourceConfigError(
                f"{start}, with the same columns: no entity or key distinguishes their records",
                todo="if each file is one measurement of the same thing, join the files by time "
                "(join: time); if each file is of a different thing, take the entity from the "
                "file's name (entity: {from_path: '(.+)\\.csv'}) or from a column (entity: NAME); "
                "if the files repeat records, name the column that identifies a record (key: NAME)",
            )


def _listed(sample: Sample) -> str:
    names = sorted(sample.columns)
    return ", ".join(names[:_MOST_COLUMNS]) + (", ..." if len(names) > _MOST_COLUMNS else "")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
