"""A file or folder of a remote file system, with a part of the methods of `pathlib.Path`."""

import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from aemon.sources.file_systems.ranges import BLOCK_BYTES, RangeReader
from aemon.sources.file_systems.system import FileSystem

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "ino")


class Stat(NamedTuple):
    """The state of a file as its file system reports it.

    `st_size` is in bytes, `st_mtime` in seconds since 1970 (0: not known); `tag` changes with the
    content (None: not known).
    """

    st_size: int
    st_mtime: float
    tag: str | None


class RemotePath:
    """A file or folder of a remote file system.

    A path that comes from a listing keeps its entry of the listing. A folder then costs one request
    instead of one request for each file. `now` sends a new request.

    Args:
        system: the file system.
        path: path on the file system.
        info: fsspec's entry for the path; empty: the path does not exist; None: not yet requested.
    """

    __slots__ = ("_info", "_path", "system")

    def __init__(
        self, system: FileSystem, path: str | PurePosixPath, info: Mapping[str, Any] | None = None
    ) -> None:
        self.system = system
        self._path = PurePosixPath(path)
        self._info = info

    def __str__(self) -> str:
        return self.system.address(str(self._path))

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.system, self._path / name)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The last part of the path without its ending."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The ending of the last part, with the dot."""
        return self._path.suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder that holds the file or folder."""
        return RemotePath(self.system, self._path.parent)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path."""
        return self._path.parts

    def as_posix(self) -> str:
        """Return the path on the file system as text, without the scheme."""
        return str(self._path)

    def expanduser(self) -> "RemotePath":
        """Return the path itself: an address has no home folder."""
        return self

    def resolve(self) -> "RemotePath":
        """Return the path itself: links of an address are not resolved."""
        return self

    def now(self) -> "RemotePath":
        """Return the same path with its current state on the file system.

        Raises:
            UnreachableError: the file system does not answer.
            PermissionError: aemon has no permission to look at the path.
        """
        return RemotePath(self.system, self._path, self._looked_up())

    def exists(self) -> bool:
        """Return whether the path exists."""
        return bool(self._known())

    def is_file(self) -> bool:
        """Return whether the path is a file."""
        return self._known().get("type") == "file"

    def is_dir(self) -> bool:
        """Return whether the path is a folder."""
        return self._known().get("type") == "directory"

    def stat(self) -> Stat:
        """Return the size, the time of the last write, and the tag of a file.

        Raises:
            FileNotFoundError: the path does not exist.
        """
        info = self._known()
        if not info:
            raise self.system.error(FileNotFoundError(), str(self._path))
        tag = next((str(info[name]) for name in _TAGS if info.get(name) is not None), None)
        moment = next((info[name] for name in _TIMES if info.get(name) is not None), None)
        return Stat(int(info.get("size") or 0), _seconds(moment), tag)

    def iterdir(self) -> Iterator["RemotePath"]:
        """Return the files and folders in a folder.

        Raises:
            FileNotFoundError: the path does not exist.
        """
        path = str(self._path)

        def list_folder(system: Any) -> list[Mapping[str, Any]]:
            system.invalidate_cache()
            return list(system.ls(path, detail=True))

        found = self.system.ask(list_folder, path)
        own = [one for one in found if PurePosixPath(one["name"]) != self._path]
        return (self._listed(one["name"], one) for one in own)

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Return the files and folders below this folder that fit a pattern."""
        path = str(self._path / pattern)

        def look(system: Any) -> Mapping[str, Mapping[str, Any]]:
            system.invalidate_cache()
            return cast("Mapping[str, Mapping[str, Any]]", system.glob(path, detail=True))

        try:
            found = self.system.ask(look, path)
        except FileNotFoundError:
            found = {}
        return (self._listed(name, info) for name, info in found.items())

    def open(self, _mode: Literal["rb"] = "rb") -> BinaryIO:
        """Open a file for reading; blocks of `BLOCK_BYTES` are fetched.

        Raises:
            FileNotFoundError: the path does not exist.
        """
        return cast("BinaryIO", io.BufferedReader(self.open_ranges(), BLOCK_BYTES))

    def open_ranges(self) -> RangeReader:
        """Open a file for reading; only the needed bytes are fetched.

        Raises:
            FileNotFoundError: the path does not exist.
        """
        path = str(self._path)

        def open_file(system: Any) -> Any:
            system.invalidate_cache()
            return system.open(path, "rb", cache_type="none")

        return RangeReader(self.system, path, self.system.ask(open_file, path))

    def _listed(self, name: str, info: Mapping[str, Any]) -> "RemotePath":
        """Return a path from a listing; the path keeps its entry of the listing.

        The path of a link keeps no entry, because the target of the link is unknown.
        """
        return RemotePath(self.system, name, None if info.get("type") == "link" else info)

    def _looked_up(self) -> Mapping[str, Any]:
        path = str(self._path)

        def look(system: Any) -> Mapping[str, Any]:
            system.invalidate_cache()
            return cast("Mapping[str, Any]", system.info(path))

        try:
            return self.system.ask(look, path)
        except FileNotFoundError:
            return {}

    def _known(self) -> Mapping[str, Any]:
        return self._looked_up() if self._info is None else self._info


def _seconds(moment: object) -> float:
    """Convert a time from a file system to seconds since 1970; 0 if the time cannot be read."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0.0
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment) if isinstance(moment, int | float) else 0.0
