"""Whether the records of several files can be told apart: by entity, by key, or by their time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import numpy.typing as npt

from aemon.errors import SourceConfigError

OVERLAP_SHARE = 0.5
"""Files that share more of the shorter one's stretch of time were written side by side."""

MOST_COMPARED = 200
"""So many files are compared, the first in the order of names."""

RECORDS_COMPARED = 20
"""So many records at each end of a file are looked at; a file with fewer may be a trial."""

_MOST_COLUMNS = 5  # in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What a file shows: its columns apart from the roles', and which times it covers.

    `begin` and `end` are seconds since 1970.
    """

    name: str
    columns: frozenset[str]
    begin: float
    end: float

    def overlaps(self, other: "Sample") -> bool:
        """Return whether both were written side by side, rather than one after the other."""
        shorter = min(self.end - self.begin, other.end - other.begin)
        shared = min(self.end, other.end) - max(self.begin, other.begin)
        return shorter > 0 and shared > OVERLAP_SHARE * shorter


def sample_of(name: str, columns: Iterable[str], times: npt.NDArray[np.datetime64]) -> list[Sample]:
    """Return a file's sample; none where no time (N,) of its records can be read."""
    seconds = times[~np.isnat(times)].astype("datetime64[us]").astype(np.int64) / 1e6
    if not len(seconds):
        return []
    begin, end = float(seconds.min()), float(seconds.max())
    return [Sample(name=name, columns=frozenset(columns), begin=begin, end=end)]


def check_apart(samples: Iterable[Sample], *, keyed: bool) -> None:
    """Refuse files that cover the same times, where nothing tells whose their records are.

    Args:
        samples: one of each file.
        keyed: whether a column identifies the records.

    Raises:
        SourceConfigError: two files cover the same times. With columns in common they may be of
            two devices; without, each may hold a part of every record.
    """
    for one, other in combinations(samples, 2):
        if not one.overlaps(other):
            continue
        begin, end = max(one.begin, other.begin), min(one.end, other.end)
        told = f"{one.name} and {other.name} cover the same times, {_time(begin)} to {_time(end)}"
        if not one.columns & other.columns:
            raise SourceConfigError(
                f"{told}, and have no columns in common: {_listed(one)} in one, {_listed(other)} "
                "in the other; so each holds a part of every record",
                todo="join them by their time, join: time, or read each by a monitor of its own",
            )
        if not keyed:
            raise SourceConfigError(
                f"{told}, with the same columns: nothing tells whose their records are",
                todo="where each file is one measurement of the same thing, join them by their time, "
                "join: time; where each is of another thing, name the entity by the file's name, entity: {from_path: '(.+)\\.csv'}, or by "
                "a column, entity: NAME; where they repeat records, name the column that "
                "identifies one, key: NAME",
            )


def _listed(sample: Sample) -> str:
    names = sorted(sample.columns)
    return ", ".join(names[:_MOST_COLUMNS]) + (", ..." if len(names) > _MOST_COLUMNS else "")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
