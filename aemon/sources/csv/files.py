"""The files that a path names: one file, the files of a folder, or the matches of a pattern."""

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
"""Only files with these endings, in upper or lower case, are read in a folder; a pattern may name
other files.
"""

PERMIT = (
    "give the user that aemon runs as permission to list and enter the folder, and to read its "
    "files"
)
_MAGIC = frozenset("*?[")
_STAYS = (
    "correct the path, or write the files later; a relative path starts at the folder in which "
    "aemon was started"
)
_MOST_NAMES = 5


class Files(NamedTuple):
    """The files to read, in the order of their names; a name is the path below `base`.

    `closed`: folders that fit the pattern and that aemon has no permission to list or enter.
    """

    base: FilePath
    read: dict[str, FilePath]
    closed: tuple[FilePath, ...] = ()

    @property
    def warning(self) -> str:
        """A message that names the closed folders; empty if no folder is closed."""
        if not self.closed:
            return ""
        count = "a folder" if len(self.closed) == 1 else f"{len(self.closed)} folders"
        return (
            f"aemon has no permission to list or enter {count}: "
            f"{listed(self.closed, self.base)}; {PERMIT}"
        )


def find_files(path: FilePath, endings: tuple[str, ...] = ENDINGS) -> Files:
    """Return the file, the files of the folder, or the matches of the pattern that a path names.

    In a folder, only the files with one of the `endings` are read. An empty folder is not an error.

    Raises:
        SourceError: there is no such file or folder, no file fits the pattern, a folder holds
            files but none to read, or aemon has no permission to list or enter a folder.
        SourceConfigError: the path is a pipe, device or socket.
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
        todo=f"only files that end in {endings[0]} are read; to read other files, write path: "
        f"{pattern}",
    )


def files_of(path: FilePath, endings: tuple[str, ...] = ENDINGS) -> Files:
    """Return the files that a path names; a folder without a file to read is not an error.

    Raises:
        SourceError: there is no such file or folder, or no file fits the pattern.
        SourceConfigError: the path is a pipe, device or socket.
        OSError: aemon has no permission to list or enter a folder.
    """
    current = path.now() if isinstance(path, RemotePath) else path
    current = current if current.exists() else current.expanduser()
    if current.is_dir():
        own = (one for one in in_order(current.iterdir()) if _ends_in(one, endings))
        return Files(current, {one.name: one for one in own})
    if current.exists():
        check_plain(current)
        return Files(current.parent, {current.name: current})
    plain = next((n for n, part in enumerate(current.parts) if _MAGIC & set(part)), None)
    if plain is None:
        raise SourceError(f"{current}: no such file or folder", todo=_STAYS)
    base, pattern = current, "/".join(current.parts[plain:])
    for _ in current.parts[plain:]:
        base = base.parent
    found = in_order(one for one in base.glob(pattern) if _is_file(one))
    closed = _closed_folders(base, Path(pattern)) if isinstance(base, Path) else ()
    if not found and closed:
        raise PermissionError(EACCES, os.strerror(EACCES), str(closed[0]))
    if not found:
        raise SourceError(f"{current}: no file fits this pattern", todo=_STAYS)
    return Files(base, {below(one, base): one for one in found}, closed)


def _closed_folders(base: Path, pattern: Path) -> tuple[Path, ...]:
    """Return the folders of a pattern that aemon has no permission to enter or list.

    The permission to list a folder is needed only where the pattern has a wildcard.
    """
    closed = set()
    for count, part in enumerate(pattern.parts):
        above = Path(*pattern.parts[:count])
        rights = os.X_OK | (os.R_OK if _MAGIC & set(part) else 0)
        folders = base.glob(str(above)) if count else (base,)
        closed |= {one for one in folders if os.path.isdir(one) and not _permits(one, rights)}  # noqa: PTH112 -- it does not raise
    return tuple(sorted(closed))


def in_order(paths: Iterable[FilePath]) -> list[FilePath]:
    """Return files and folders in the order of their names, folder by folder."""
    return sorted(paths, key=lambda path: path.parts)


def _is_file(path: FilePath) -> bool:
    """Return whether a path is a file; False if aemon has no permission to check."""
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()  # noqa: PTH113 -- it does not raise


def _permits(path: FilePath, rights: int) -> bool:
    return not isinstance(path, Path) or os.access(
        path, rights, effective_ids=os.access in os.supports_effective_ids
    )


def check_plain(path: FilePath) -> None:
    """Raise an error for a pipe, device or socket.

    Reading a pipe may never end, and removes the records that were read.

    Raises:
        SourceConfigError: the path is a pipe, device or socket.
        OSError: the path does not exist.
    """
    if isinstance(path, Path) and (why := why_not_plain(path)):
        raise SourceConfigError(
            f"{path}: {why}", todo="write the records to a file, and set path to that file"
        )


def files_beside(files: Files, endings: tuple[str, ...] = ENDINGS) -> list[FilePath]:
    """Return the files that are not read, in the folders of the files that are read.

    Of the files in subfolders, only files with one of the `endings` are returned.
    """
    folders = in_order({path.parent for path in files.read.values()} | {files.base})
    # A bucket may hold millions of files in the folders below: these folders are not listed.
    everything = files.base.glob("*/**/*") if isinstance(files.base, Path) else ()
    deep = (one for one in in_order(everything) if _permits(one, os.F_OK))
    deeper = (one for one in deep if _ends_in(one, endings))
    known = [folder for folder in folders if _permits(folder, os.R_OK | os.X_OK)]
    paths = dict.fromkeys(
        [*(one for folder in known for one in in_order(folder.iterdir())), *deeper]
    )
    taken = set(files.read.values())
    return [
        one for one in paths if one not in taken and not one.name.startswith(".") and one.is_file()
    ]


def _ends_in(path: FilePath, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings) and path.is_file()


def was_rotated(path: FilePath, read: Iterable[FilePath]) -> bool:
    """Return whether a file's name is the name of a read file plus a suffix, as in log rotation.

    >>> was_rotated(Path("a.csv.1"), [Path("a.csv")])
    True
    """
    return any(path.name.startswith(f"{one.name}.") for one in read)


def listed(paths: Iterable[FilePath], base: FilePath) -> str:
    """Return the names of the first files, relative to a folder, as text for a message."""
    names = [below(path, base) for path in paths]
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
