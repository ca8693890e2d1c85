"""Which files a path means: one, those of a folder, or those that fit a pattern."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aemon.errors import SourceError

ENDINGS = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip")
"""Which files of a folder are read, in capitals or not; a pattern may name others."""

_MAGIC = frozenset("*?[")
_STAYS = "it may still come; a relative path starts at the folder aemon was started in"
_MOST_NAMES = 5


class Files(NamedTuple):
    """The files that are read by name, in the order of their names, and those beside them.

    A name is the path below `base`.
    """

    base: Path
    read: dict[str, Path]
    beside: tuple[Path, ...] = ()


def find_files(path: Path) -> Files:
    """Return the files that a path means.

    Raises:
        SourceError: there is none, or a folder holds files and none of them is read.
    """
    found = files_of(path)
    if found.read or not found.beside:
        return found
    names = listed(found.beside, found.base)
    first = found.beside[0]
    inner = first.relative_to(found.base).parent
    wild = f"*{first.suffix}" if first.suffix else "*"
    pattern = found.base / ("**" if inner.parts else "") / wild
    count = len(found.beside)
    raise SourceError(
        f"{path} holds {count} file{'' if count == 1 else 's'}, and none is read: {names}",
        todo=f"files that end in .csv are; a pattern says which others: path: {pattern}",
    )


def files_of(path: Path) -> Files:
    """Return the files that a path means, without an error where none is read.

    Raises:
        SourceError: there is no such file or folder, and no file fits the pattern.
    """
    there = path if path.exists() else path.expanduser()
    if there.is_dir():
        return _of_folder(there)
    if there.exists():
        return Files(there.parent, {there.name: there})
    plain = next((n for n, part in enumerate(there.parts) if _MAGIC & set(part)), None)
    if plain is None:
        raise SourceError(f"{there}: no such file or folder", todo=_STAYS)
    base, pattern = Path(*there.parts[:plain]), Path(*there.parts[plain:])
    found = sorted(one for one in base.glob(str(pattern)) if one.is_file())
    if not found:
        raise SourceError(f"{there}: no file fits this pattern", todo=_STAYS)
    read = {one.relative_to(base).as_posix(): one for one in found}
    folders = sorted({one.parent for one in found})
    return Files(base, read, tuple(_others((one for f in folders for one in f.iterdir()), found)))


def _of_folder(folder: Path) -> Files:
    read = {
        one.name: one
        for one in sorted(folder.iterdir())
        if one.name.lower().endswith(ENDINGS) and one.is_file()
    }
    inner = (one for one in folder.glob("*/**/*") if one.name.lower().endswith(ENDINGS))
    others = _others([*sorted(folder.iterdir()), *inner], read.values())
    return Files(folder, read, tuple(others))


def _others(there: Iterable[Path], read: Iterable[Path]) -> list[Path]:
    taken = set(read)
    return [
        one for one in there if one not in taken and not one.name.startswith(".") and one.is_file()
    ]


def was_rotated(path: Path, read: Iterable[Path]) -> bool:
    """Return whether a file has the name of one that is read, and something behind it.

    >>> was_rotated(Path("a.csv.1"), [Path("a.csv")])
    True
    """
    return any(path.name.startswith(f"{one.name}.") for one in read)


def listed(paths: Iterable[Path], base: Path) -> str:
    """Return the first names below a folder, as a message tells them."""
    names = [str(path.relative_to(base)) for path in paths]
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
