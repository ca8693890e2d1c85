"""Reads a remote file by byte ranges; each range is fetched when a reader needs the range."""

import io
import os
from typing import Any

from aemon.sources.file_systems.system import FileSystem

BLOCK_BYTES = 1 << 19
"""Number of bytes fetched at once when a file is read from the first to the last byte."""

HEAD_BYTES = 1 << 16
"""Number of first bytes kept in memory: header, encoding and checksums need these bytes."""


class RangeReader(io.RawIOBase):
    """An open file, without a buffer except for its first bytes.

    Args:
        system: the file system, for its errors.
        path: path of the file on the file system.
        file: the file object of fsspec; other readers may use this object and change its position.
    """

    def __init__(self, system: FileSystem, path: str, file: Any) -> None:
        super().__init__()
        self._system, self._path, self._file = system, path, file
        self._at = 0
        self._head: bytes | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte and return its position.

        Raises:
            UnreachableError: the file system does not answer.
            ValueError: the position is before the beginning of the file.
        """
        if whence == os.SEEK_END:
            offset += self._size()
        elif whence == os.SEEK_CUR:
            offset += self._at
        if offset < 0:
            raise ValueError("the position is before the beginning of the file")
        self._at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer, which may be filled only in part; return the number of bytes.

        Raises:
            UnreachableError: the file system does not answer.
        """
        size = len(buffer)
        data = self._of_head(size) or self._fetch(self._at, size)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end; -1: all remaining bytes.

        Raises:
            UnreachableError: the file system does not answer.
        """
        if size is None or size < 0:
            size = max(self._size() - self._at, 0)
        found = self._of_head(size)
        if len(found) < size:
            found += self._fetch(self._at + len(found), size - len(found))
        self._at += len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            try:
                self._file.close()
            except Exception as error:  # noqa: BLE001 -- each library has its own errors
                raise self._system.error(error, self._path) from None
            finally:
                super().close()

    def _of_head(self, size: int) -> bytes:
        """Return the part of the next `size` bytes that lies in the kept first bytes."""
        if self._at >= HEAD_BYTES or not size:
            return b""
        if self._head is None:
            self._head = self._fetch(0, HEAD_BYTES)
        return self._head[self._at : self._at + size]

    def _fetch(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, fewer only at the end."""
        pieces: list[bytes] = []
        try:
            self._file.seek(start)
            while size > 0 and (piece := self._file.read(size)):
                pieces.append(piece)
                size -= len(piece)
        except Exception as error:  # noqa: BLE001 -- each library has its own errors
            raise self._system.error(error, self._path) from None
        return b"".join(pieces)

    def _size(self) -> int:
        try:
            return int(self._file.seek(0, os.SEEK_END) or self._file.tell())
        except Exception as error:  # noqa: BLE001 -- each library has its own errors
            raise self._system.error(error, self._path) from None
