"""Opens a configured path or address; `FilePath` is the interface of local and remote paths."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from aemon.sources.file_systems.remote_path import RemotePath
from aemon.sources.file_systems.settings import StoredFiles, scheme_of
from aemon.sources.file_systems.system import FileSystem


class Looked(Protocol):
    """The size and the time of a file, known without reading the file."""

    @property
    def st_size(self) -> int:
        """The size in bytes."""

    @property
    def st_mtime(self) -> float:
        """The time of the last write in seconds since 1970."""


class FilePath(Protocol):
    """The common interface of a local path (`pathlib.Path`) and a `RemotePath`."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    @property
    def stem(self) -> str:
        """The last part of the path without its ending."""

    @property
    def suffix(self) -> str:
        """The ending of the last part, with the dot."""

    @property
    def parent(self) -> "FilePath":
        """The folder that holds the file or folder."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path."""

    def __truediv__(self, name: str, /) -> "FilePath": ...

    def as_posix(self) -> str:
        """Return the path as text with slashes, without a scheme."""

    def expanduser(self) -> "FilePath":
        """Return the path with the home folder of the user in place of ~."""

    def resolve(self) -> "FilePath":
        """Return the path with links replaced by their targets."""

    def exists(self) -> bool:
        """Return whether the path exists."""

    def is_file(self) -> bool:
        """Return whether the path is a file."""

    def is_dir(self) -> bool:
        """Return whether the path is a folder."""

    def stat(self) -> Looked:
        """Return the size and the time of a file without reading the file."""

    def iterdir(self) -> Iterable["FilePath"]:
        """Return the files and folders in a folder."""

    def glob(self, pattern: str, /) -> Iterable["FilePath"]:
        """Return the files and folders below this folder that fit a pattern."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open a file for reading."""


class State(NamedTuple):
    """The state of a file: the time of the last write, the size in bytes and a tag.

    The time is in nanoseconds (local) or seconds (remote) since 1970. The tag is an inode (local)
    or the content tag of an object store (remote); None: not known.
    """

    time: float
    size: int
    tag: str | int | None

    @property
    def certain(self) -> bool:
        """Whether equal states mean an unchanged file; False if only the size is known."""
        return bool(self.time) or self.tag is not None


def open_path(settings: StoredFiles) -> FilePath:
    """Return the configured path; a remote file system is connected at the first use.

    Raises:
        SourceConfigError: fsspec or the package of the file system is not installed.
    """
    return open_address(settings.path, settings.storage)


def open_address(path: Path | str, options: Mapping[str, Any]) -> FilePath:
    """Return a local path, or the remote path of an address.

    Raises:
        SourceConfigError: fsspec or the package of the file system is not installed.
    """
    scheme = scheme_of(path)
    if not scheme:
        return Path(path)
    system = FileSystem(str(path), scheme, options)
    return RemotePath(system, system.root)


def close_path(path: FilePath) -> None:
    """Close the connection to the file system of a path; do nothing for a local path."""
    if isinstance(path, RemotePath):
        path.system.close()


def state_of(path: FilePath, *, now: bool = False) -> State:
    """Return the state of a file; with `now`, do not use an earlier listing.

    Raises:
        OSError: the state cannot be read.
        UnreachableError: the file system does not answer.
    """
    if isinstance(path, RemotePath):
        found = (path.now() if now else path).stat()
        return State(found.st_mtime, found.st_size, found.tag)
    assert isinstance(path, Path)  # noqa: S101 -- the only other kind of path
    own = path.stat()
    return State(own.st_mtime_ns, own.st_size, own.st_ino)


def below(path: FilePath, base: FilePath) -> str:
    """Return the path of a file relative to a folder that contains the file.

    >>> below(Path("exports/a/b.csv"), Path("exports")), below(Path("a.csv"), Path("."))
    ('a/b.csv', 'a.csv')
    """
    return path.as_posix().removeprefix(f"{base.as_posix().rstrip('/')}/")
