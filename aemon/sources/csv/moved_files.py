"""Files that were renamed, truncated or replaced after a read, found by their content."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from aemon.errors import AemonError, SourceConfigError
from aemon.sources.csv.files import Files
from aemon.sources.csv.header import Header
from aemon.sources.csv.lines import Line
from aemon.sources.csv.packing import open_plain
from aemon.sources.csv.places import (
    HEAD_BYTES,
    Place,
    fingerprint,
    head_of,
    is_still_there,
    tail_of,
)
from aemon.sources.file_systems.opening import FilePath, below
from aemon.sources.file_systems.system import UnreachableError

MOST_BESIDE = 100
"""At most this many files of a missing file's folder are searched for its content.

The newest files are searched first.
"""

KNOW_BY_KEY = (
    "set key: NAME to the column that identifies a record, so that no record is judged twice; or "
    "give the monitor a new name, so that it begins again"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """The places of a watermark, assigned to the files that exist now.

    Attributes:
        now: current name -> place, for files that still have the read content.
        orphans: name -> place, for files whose read content is gone.
    """

    now: dict[str, Place]
    orphans: dict[str, Place]

    @property
    def all(self) -> dict[str, Place]:
        """All places by name, for the next watermark."""
        return {**self.orphans, **self.now}

    def order(self, files: Files) -> list[tuple[str, FilePath]]:
        """Return the files to read, by name and path.

        Files whose new name does not fit `path` are first.
        """
        extra = [(name, files.base / name) for name in sorted(self.now) if name not in files.read]
        return [*extra, *files.read.items()]

    def next_generation(self, name: str) -> int:
        """Return the generation of a new file: 0, or the last generation of its name plus 1."""
        known = [p.generation for key, p in self.all.items() if (p.name or key) == name]
        return max(known, default=-1) + 1


def locate(
    files: Files, known: Mapping[str, Place], holds: Callable[[FilePath, Place], bool]
) -> Located:
    """Find the current file of each known place; a renamed file is found by its content.

    Args:
        files: the files that are read.
        known: the places of a watermark, by file name.
        holds: returns whether a file still has the bytes that were read before a place.
    """
    paths = {name: files.read.get(name, files.base / name) for name in known}
    now = {name: place for name, place in known.items() if holds(paths[name], place)}
    gone = {name: place for name, place in known.items() if name not in now}
    taken = {paths[name] for name in now}
    for path in _carriers(files, [paths[name] for name in gone]) if gone else ():
        if path in taken:
            continue
        for name, place in gone.items():
            if place.bytes and holds_place(path, place):
                del gone[name]
                now[below(path, files.base)] = place._replace(name=place.name or name)
                break
    # A file that was renamed before, outside of the configured path, is not expected to return.
    orphans = {name: gone[name] for name in gone if name in files.read or not gone[name].name}
    return Located(now=now, orphans=orphans)


def holds_place(path: FilePath, place: Place) -> bool:
    """Return whether a file still has the bytes read before a place; False if unreadable."""
    try:
        with open_plain(path) as (file, _):
            return is_still_there(file, place)
    except UnreachableError:
        raise  # the file may exist
    except AemonError:
        return False


def _carriers(files: Files, gone: Iterable[FilePath]) -> list[FilePath]:
    """Return candidates for missing files: the files to read, then files in the same folders."""
    beside: dict[FilePath, float] = {}
    for folder in {path.parent for path in gone}:
        try:
            beside |= {one: one.stat().st_mtime for one in folder.iterdir() if one.is_file()}
        except OSError:  # removed, perhaps during the loop
            continue
    newest = sorted(beside, key=lambda path: beside[path], reverse=True)[:MOST_BESIDE]
    return list(dict.fromkeys([*files.read.values(), *newest]))


def copied_place(file: BinaryIO, files: Files, known: Mapping[str, Place]) -> Place | None:
    """Return the place after the records that a file has in common with a read file.

    Return None if the file is not a copy. A copy may be shorter than the read file, or hold further
    records at its end.
    """
    size = file.seek(0, 2)
    head = head_of(file, HEAD_BYTES)
    whole: Place | None = None  # the longest read part that this file holds in full
    for name, place in known.items():
        if place.head != head or min(place.bytes, size) < HEAD_BYTES:
            continue
        if _is_part(file, size, files.read.get(name)):
            return Place(size, 0, begin=size)
        if place.bytes <= size and tail_of(file, place.bytes) == place.tail:
            whole = max(whole, place, key=lambda one: one.bytes) if whole else place
    return whole._replace(generation=0, name="", begin=whole.bytes) if whole else None


def _is_part(file: BinaryIO, size: int, path: FilePath | None) -> bool:
    """Return whether another file has the same bytes before the byte `size`, where `file` ends."""
    if path is None:
        return False
    try:
        with open_plain(path) as (other, _):
            return other.seek(0, 2) >= size and tail_of(other, size) == tail_of(file, size)
    except UnreachableError:
        raise
    except AemonError:
        return False


def resume(path: FilePath, records: Iterator[tuple[Header, Line]], place: Place) -> Place | None:
    """Return the place after the newest known record in a file that replaced another file.

    Args:
        path: path of the file, for messages.
        records: all current records of the file.
        place: the place up to which the old file was read.

    Returns:
        The place; None if the file holds none of the newest read records.

    Raises:
        SourceConfigError: lines were added above lines that were already read.
    """
    numbers = {mark: number for number, mark in place.last}
    found, newest, first, above = None, -1, "", False
    for header, line in records:
        mark = fingerprint(line.text)
        above |= bool(first) and mark == place.first
        first = first or mark
        number = numbers.get(mark, -1)
        if number >= max(newest, 0):
            newest = number
            found = place._replace(
                bytes=line.end, lines=line.last, header=header.start, shift=number - line.number
            )
    if (found is None and above) or (found is not None and found.shift < place.shift):
        raise SourceConfigError(
            f"{path}: lines were added above lines already read; the added lines are not read, "
            "because reading continues after the last line read",
            todo=f"write new records at the end; or {KNOW_BY_KEY}",
        )
    return found._replace(first=first) if found is not None else None
