"""Parquet files that were renamed, copied or replaced after a read, found by their content."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from aemon.errors import SourceConfigError
from aemon.sources.csv.moved_files import KNOW_BY_KEY
from aemon.sources.file_systems.opening import FilePath
from aemon.sources.parquet.footers import Footer
from aemon.sources.parquet.places import MOST_MISSING, Place

_log = logging.getLogger(__name__)
_MOST_COMPARED = 100  # maximum rows compared of those with the time of the last read record

TimesOf = Callable[[str], npt.NDArray[np.datetime64]]
MarkOf = Callable[[str, int], str]


def located(
    footers: Mapping[str, Footer], known: Mapping[str, Place], *, knows_copies: bool
) -> tuple[dict[str, Place], list[str]]:
    """Find the current file of each known place, and the files to read, without copies.

    Args:
        footers: footers of all complete files, in the order of their names.
        known: the places of a watermark, by file name.
        knows_copies: whether a file with the content of another file counts as a copy, which is not
            read.

    Returns:
        The places by current file name, including missing files; and the names of the files to
        read.
    """
    here = {
        name: p for name, p in known.items() if name in footers and footers[name].mark == p.mark
    }
    lost = {name: place for name, place in known.items() if name not in here}
    by_mark = {place.mark: name for name, place in lost.items()}
    held = {place.mark for place in here.values()}
    for name, footer in footers.items():
        old = by_mark.get(footer.mark)
        if name not in here and old in lost and footer.mark not in held:
            place = lost.pop(old)
            here[name] = place._replace(name=place.name or old)
    replaced = {name: place for name, place in lost.items() if name in footers and name not in here}
    gone = {name: place for name, place in lost.items() if name not in footers}
    places = here | replaced
    chosen: dict[str, str] = {}
    for name, footer in sorted(footers.items(), key=lambda pair: pair[0] not in places):
        chosen.setdefault(footer.mark if knows_copies and footer.rows else name, name)
    newest = sorted(gone, key=lambda name: gone[name].time or 0.0)[-MOST_MISSING:]
    names = set(chosen.values())
    return {name: gone[name] for name in newest} | places, [n for n in footers if n in names]


class Starts:
    """The rules for the place where reading begins in a file.

    Args:
        keyed: whether a column identifies the records; a record that is read again is then
            recognised.
        times_of: returns the event times of all rows of a file.
        mark_of: returns the fingerprint of a row of a file; rows are counted from 0.
    """

    def __init__(self, *, keyed: bool, times_of: TimesOf, mark_of: MarkOf) -> None:
        self._keyed = keyed
        self._times_of = times_of
        self._mark_of = mark_of

    def find(
        self, file: tuple[str, FilePath], footer: Footer, places: Mapping[str, Place]
    ) -> tuple[Place, str]:
        """Return the place where reading begins, and a warning, which may be empty.

        Args:
            file: name and path of the file.
            footer: the footer of the file.
            places: the places up to which files were read, by the files' current names.

        Raises:
            SourceConfigError: the file replaced another file, and some of its records may already
                be judged.
        """
        name, path = file
        place = places.get(name)
        if place is None:
            return Place(0, footer.mark, generation=_next_generation(name, places)), ""
        if place.mark == footer.mark:
            return place, ""
        if place.rows == 0:
            return place._replace(mark=footer.mark), ""
        row = self._row_of_last(name, footer, place)
        if row is not None and row + 1 <= place.rows:
            _log.info("%s was replaced; reading continues after row %d", path, row + 1)
            shift = place.shift + place.rows - (row + 1)
            return place._replace(mark=footer.mark, rows=row + 1, shift=shift), ""
        if not self._keyed:
            self._refuse_known(name, path, place, above=row is not None)
        warning = f"{path} was replaced; it is read from its beginning"
        _log.warning("%s", warning)
        return Place(0, footer.mark, generation=_next_generation(name, places)), warning

    def _row_of_last(self, name: str, footer: Footer, place: Place) -> int | None:
        """Return the row, counted from 0, of the last read record; None: no such row."""
        if not place.last:
            return None
        if footer.rows >= place.rows and self._mark_of(name, place.rows - 1) == place.last:
            return place.rows - 1
        if place.time is None:
            return None
        times = self._times_of(name).astype("datetime64[us]").astype(np.int64)
        rows = np.flatnonzero(np.abs(times / 1e6 - place.time) < 1e-3)[-_MOST_COMPARED:]  # noqa: PLR2004 -- a float's error
        return next(
            (row for row in rows[::-1].tolist() if self._mark_of(name, row) == place.last), None
        )

    def _refuse_known(self, name: str, path: FilePath, place: Place, *, above: bool) -> None:
        """Raise an error if some records of a replaced file may already be judged.

        This is so if rows were added above read rows, or if the file has times before the newest
        read record.

        Raises:
            SourceConfigError: some of the records may already be judged.
        """
        if above:
            raise SourceConfigError(
                f"{path}: rows were added above rows already read; the added rows are not read, "
                "because reading continues after the last row read",
                todo=f"write new records at the end; or {KNOW_BY_KEY}",
            )
        times = self._times_of(name)
        known = times[~np.isnat(times)].astype("datetime64[us]").astype(np.int64)
        if place.time is None or (len(known) and known.min() / 1e6 < place.time):
            raise SourceConfigError(
                f"{path} was replaced: it holds times before the newest record read, and does not "
                "hold that record",
                todo=KNOW_BY_KEY,
            )


def _next_generation(name: str, places: Mapping[str, Place]) -> int:
    """Return the generation of a new file: 0, or the last generation of its name plus 1."""
    known = [place.generation for at, place in places.items() if (place.name or at) == name]
    return max(known, default=-1) + 1
