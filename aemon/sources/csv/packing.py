"""Opens plain and compressed files; a compressed file is unpacked before it is read."""

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from aemon.errors import SourceConfigError, SourceError
from aemon.sources.csv.files import check_plain
from aemon.sources.file_systems.opening import FilePath


def _gunzip(file: BinaryIO) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file))


_PACKED: dict[bytes, Callable[[BinaryIO], IO[bytes]]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_MOST_IN_MEMORY = 1 << 26  # bytes; a longer text goes to a temporary file
_ZIP = b"PK\x03\x04"
_NO_TEXT = {
    b"\x28\xb5\x2f\xfd": ("is compressed (zstd)", "unpack it, or compress it with gzip"),
    b"7z\xbc\xaf": ("is compressed (7z)", "unpack it, or compress it with gzip"),
    b"Rar!": ("is compressed (rar)", "unpack it, or compress it with gzip"),
    b"\xd0\xcf\x11\xe0": ("is a spreadsheet", "save it as CSV"),
    b"PAR1": ("is a Parquet file", "read it with a source of kind parquet"),
    b"SQLite format 3": ("is a database", "read it with a source of kind sql"),
}
_LINE_ENDS = (b"\n", b"\r", b"\x00", b"")  # the zero byte: UTF-16
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class IncompleteError(SourceError):
    """A compressed file is still being written, or is damaged."""


@contextmanager
def open_plain(path: FilePath) -> Iterator[tuple[BinaryIO, bool]]:
    """Open a file; yield its plain text as an open file, and whether the file was compressed.

    A compressed file counts as complete, because no lines are appended. The file is first unpacked
    in full.

    Raises:
        IncompleteError: the file cannot be unpacked; perhaps the file is still being written.
        SourceConfigError: the file is not text, or an archive holds more than one file.
        SourceError: the file cannot be read.
    """
    try:
        check_plain(path)
        with path.open("rb") as file:
            begin = file.read(16)
            file.seek(0)
            for mark, (what, todo) in _NO_TEXT.items():
                if begin.startswith(mark):
                    raise SourceConfigError(f"{path}: {what}, not text", todo=todo)
            if not begin.startswith((*_PACKED, _ZIP)):
                yield file, False
                return
            with SpooledTemporaryFile(_MOST_IN_MEMORY) as plain:
                _unpack(path, file, begin, cast("BinaryIO", plain))
                plain.seek(0)
                yield cast("BinaryIO", plain), True
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def ends_open(path: FilePath) -> bool:
    """Return whether the last line of a plain file has no line end; False for a compressed file."""
    try:
        with path.open("rb") as file:
            begin = file.read(16)
            file.seek(max(file.seek(0, 2) - 1, 0))
            return not begin.startswith((*_PACKED, _ZIP)) and file.read(1) not in _LINE_ENDS
    except OSError:
        return False


def _unpack(path: FilePath, file: BinaryIO, begin: bytes, plain: BinaryIO) -> None:
    try:
        if begin.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, _only_member(path, archive) as packed:
                shutil.copyfileobj(packed, plain)
            return
        unpack = next(_PACKED[mark] for mark in _PACKED if begin.startswith(mark))
        with unpack(file) as packed:
            shutil.copyfileobj(packed, plain)
    except _BROKEN:
        raise IncompleteError(
            f"{path}: is compressed, and cannot be unpacked",
            todo="wait if the file is still being written; otherwise it is damaged: write it again",
        ) from None


def _only_member(path: FilePath, archive: zipfile.ZipFile) -> IO[bytes]:
    """Open the only file of an archive.

    Raises:
        SourceConfigError: the archive is a spreadsheet, has a password, or does not hold exactly
            one file.
    """
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    names = [member.filename for member in members]
    if "[Content_Types].xml" in names:
        raise SourceConfigError(f"{path}: is a spreadsheet, not text", todo="save it as CSV")
    if len(members) != 1:
        raise SourceConfigError(
            f"{path}: is compressed and holds {len(members)} files",
            todo="unpack it into a folder, and set path to this folder",
        )
    if members[0].flag_bits & 1:
        raise SourceConfigError(f"{path}: is compressed with a password", todo="unpack it")
    return archive.open(members[0])
