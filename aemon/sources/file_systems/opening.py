"""From a path or an address of the settings to what is read; the seam of both kinds of files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from aemon.sources.file_systems.remote_path import RemotePath
from aemon.sources.file_systems.settings import StoredFiles, scheme_of
from aemon.sources.file_systems.system import FileSystem


class Looked(Protocol):
    """What is known of a file without reading it."""

    @property
    def st_size(self) -> int:
        """Its bytes."""

    @property
    def st_mtime(self) -> float:
        """When it was last written, in seconds since 1970."""


class FilePath(Protocol):
    """What a path of this machine (`pathlib.Path`) and a `RemotePath` have in common."""

    @property
    def name(self) -> str:
        """Its last part."""

    @property
    def stem(self) -> str:
        """Its last part without the ending."""

    @property
    def suffix(self) -> str:
        """Its ending, with the point."""

    @property
    def parent(self) -> "FilePath":
        """The folder that it is in."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Its parts."""

    def __truediv__(self, name: str, /) -> "FilePath": ...

    def as_posix(self) -> str:
        """Return it as text with slashes, without a scheme."""

    def expanduser(self) -> "FilePath":
        """Return it with the home of a user in place of ~."""

    def resolve(self) -> "FilePath":
        """Return it without links."""

    def exists(self) -> bool:
        """Return whether it is there."""

    def is_file(self) -> bool:
        """Return whether it is a file."""

    def is_dir(self) -> bool:
        """Return whether it is a folder."""

    def stat(self) -> Looked:
        """Return what is known of it without reading it."""

    def iterdir(self) -> Iterable["FilePath"]:
        """Return what is in a folder."""

    def glob(self, pattern: str, /) -> Iterable["FilePath"]:
        """Return what below this folder fits a pattern."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open a file for reading."""


class State(NamedTuple):
    """What changes whenever a file does; `certain` says that it does."""

    time: float
    size: int
    tag: str | int | None

    @property
    def certain(self) -> bool:
        """Whether a file of the same state is the same file; not where only its size is known."""
        return bool(self.time) or self.tag is not None


def open_path(settings: StoredFiles) -> FilePath:
    """Return the path that settings name; nothing is connected before it is looked at.

    Raises:
        SourceConfigError: a package is not installed.
    """
    return open_address(settings.path, settings.storage)


def open_address(path: Path | str, options: Mapping[str, Any]) -> FilePath:
    """Return a path of this machine, or that of an address.

    Raises:
        SourceConfigError: a package is not installed.
    """
    scheme = scheme_of(path)
    if not scheme:
        return Path(path)
    system = FileSystem(str(path), scheme, options)
    return RemotePath(system, system.root)


def close_path(path: FilePath) -> None:
    """Let go of the connection to the file system of a path."""
    if isinstance(path, RemotePath):
        path.system.close()


def state_of(path: FilePath, *, now: bool = False) -> State:
    """Return what changes whenever a file does; with `now`, what a listing said does not do.

    Raises:
        OSError: it cannot be looked at.
        UnreachableError: the file system does not answer.
    """
    if isinstance(path, RemotePath):
        found = (path.now() if now else path).stat()
        return State(found.st_mtime, found.st_size, found.tag)
    assert isinstance(path, Path)  # noqa: S101 -- there are two
    own = path.stat()
    return State(own.st_mtime_ns, own.st_size, own.st_ino)


def below(path: FilePath, base: FilePath) -> str:
    """Return the path of a file below a folder that it is in.

    >>> below(Path("exports/a/b.csv"), Path("exports")), below(Path("a.csv"), Path("."))
    ('a/b.csv', 'a.csv')
    """
    return path.as_posix().removeprefix(f"{base.as_posix().rstrip('/')}/")
