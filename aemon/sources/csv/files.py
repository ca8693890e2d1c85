"""Which files a path means: one, those of a folder, or those that fit a pattern."""

import os
from collections.abc import Iterable
from errno import EACCES
from pathlib import Path
from typing import NamedTuple

from aemon.errors import SourceConfigError, SourceError
from aemon.plain_files import why_not_plain
from aemon.sources.file_systems.opening import FilePath, below
from aemon.sources.file_systems.remote_path import RemotePath
from aemon.sources.file_systems.system import CREDENTIALS

ENDINGS = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip")
"""Which files of a folder are read, in capitals or not; a pattern may name others."""

PERMIT = "let the user that aemon runs as list and enter the folder, and read its files"
_MAGIC = frozenset("*?[")
_STAYS = "it may still come; a relative path starts at the folder aemon was started in"
_MOST_NAMES = 5


class Files(NamedTuple):
    """The files that are read by name, in the order of their names: the path below `base`.

    `closed` are folders that fit the pattern and may not be listed or entered.
    """

    base: FilePath
    read: dict[str, FilePath]
    closed: tuple[FilePath, ...] = ()

    @property
    def warning(self) -> str:
        """Return which folders are passed over; empty if none is."""
        if not self.closed:
            return ""
        count = "a folder" if len(self.closed) == 1 else f"{len(self.closed)} folders"
        return f"{count} may not be listed or entered: {listed(self.closed, self.base)}; {PERMIT}"


def find_files(path: FilePath, endings: tuple[str, ...] = ENDINGS) -> Files:
    """Return the files that a path means: one, those of a folder, or those that fit a pattern.

    Of a folder those are read that have one of the `endings`.

    Raises:
        SourceError: there is none, a folder holds files and none of them is read, or it may not be
            listed or entered.
    """
    try:
        found = files_of(path, endings)
        beside = [] if found.read else files_beside(found, endings)
    except OSError as error:
        raise SourceError(
            f"{error.filename or path}: {error.strerror or error}",
            todo=CREDENTIALS if isinstance(path, RemotePath) else PERMIT,
        ) from None
    if found.read:
        return found
    if not beside:
        return found
    first = beside[0]
    inner = "**" if first.parent != found.base else ""
    pattern = path / inner / (f"*{first.suffix}" if first.suffix else "*")
    count = f"{len(beside)} file{'' if len(beside) == 1 else 's'}"
    raise SourceError(
        f"{path} holds {count}, and none is read: {listed(beside, found.base)}",
        todo=f"files that end in {endings[0]} are; a pattern says which others: path: {pattern}",
    )


def files_of(path: FilePath, endings: tuple[str, ...] = ENDINGS) -> Files:
    """Return the files that a path means, without an error where a folder has none to read.

    Raises:
        SourceError: there is no such file or folder, and no file fits the pattern.
        OSError: a folder may not be listed or entered.
    """
    there = path.now() if isinstance(path, RemotePath) else path
    there = there if there.exists() else there.expanduser()
    if there.is_dir():
        own = (one for one in in_order(there.iterdir()) if _ends_in(one, endings))
        return Files(there, {one.name: one for one in own})
    if there.exists():
        check_plain(there)
        return Files(there.parent, {there.name: there})
    plain = next((n for n, part in enumerate(there.parts) if _MAGIC & set(part)), None)
    if plain is None:
        raise SourceError(f"{there}: no such file or folder", todo=_STAYS)
    base, pattern = there, "/".join(there.parts[plain:])
    for _ in there.parts[plain:]:
        base = base.parent
    found = in_order(one for one in base.glob(pattern) if _is_file(one))
    closed = _closed_folders(base, Path(pattern)) if isinstance(base, Path) else ()
    if not found and closed:
        raise PermissionError(EACCES, os.strerror(EACCES), str(closed[0]))
    if not found:
        raise SourceError(f"{there}: no file fits this pattern", todo=_STAYS)
    return Files(base, {below(one, base): one for one in found}, closed)


def _closed_folders(base: Path, pattern: Path) -> tuple[Path, ...]:
    """Return the folders on the way of a pattern that may not be entered or, if need be, listed."""
    closed = set()
    for count, part in enumerate(pattern.parts):
        way = Path(*pattern.parts[:count])
        wanted = os.X_OK | (os.R_OK if _MAGIC & set(part) else 0)
        there = base.glob(str(way)) if count else (base,)
        closed |= {one for one in there if os.path.isdir(one) and not _permits(one, wanted)}  # noqa: PTH112 -- it does not raise
    return tuple(sorted(closed))


def in_order(paths: Iterable[FilePath]) -> list[FilePath]:
    """Return files and folders in the order of their names, folder by folder."""
    return sorted(paths, key=lambda path: path.parts)


def _is_file(path: FilePath) -> bool:
    """Return whether it is a file; of one that may not be looked at, False."""
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()  # noqa: PTH113 -- it does not raise


def _permits(path: FilePath, wanted: int) -> bool:
    return not isinstance(path, Path) or os.access(
        path, wanted, effective_ids=os.access in os.supports_effective_ids
    )


def check_plain(path: FilePath) -> None:
    """Refuse a pipe, device or socket: reading one may never end, and takes the records away.

    Raises:
        SourceConfigError: it is one.
        OSError: it is not there.
    """
    if isinstance(path, Path) and (why := why_not_plain(path)):
        raise SourceConfigError(
            f"{path}: {why}", todo="let the records be written to a file, and name that"
        )


def files_beside(files: Files, endings: tuple[str, ...] = ENDINGS) -> list[FilePath]:
    """Return the files beside those that are read, and such as they in folders below them."""
    folders = in_order({path.parent for path in files.read.values()} | {files.base})
    # A bucket may hold millions of files below a folder: there only the folders themselves are.
    everything = files.base.glob("*/**/*") if isinstance(files.base, Path) else ()
    deep = (one for one in in_order(everything) if _permits(one, os.F_OK))
    deeper = (one for one in deep if _ends_in(one, endings))
    known = [folder for folder in folders if _permits(folder, os.R_OK | os.X_OK)]
    there = dict.fromkeys(
        [*(one for folder in known for one in in_order(folder.iterdir())), *deeper]
    )
    taken = set(files.read.values())
    return [
        one for one in there if one not in taken and not one.name.startswith(".") and one.is_file()
    ]


def _ends_in(path: FilePath, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings) and path.is_file()


def was_rotated(path: FilePath, read: Iterable[FilePath]) -> bool:
    """Return whether a file has the name of one that is read, and something behind it.

    >>> was_rotated(Path("a.csv.1"), [Path("a.csv")])
    True
    """
    return any(path.name.startswith(f"{one.name}.") for one in read)


def listed(paths: Iterable[FilePath], base: FilePath) -> str:
    """Return the first names below a folder, as a message tells them."""
    names = [below(path, base) for path in paths]
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
