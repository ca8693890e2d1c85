"""Bytes of a file far away, fetched where they are asked for."""

import io
import os
from typing import Any

from aemon.sources.file_systems.system import FileSystem

BLOCK_BYTES = 1 << 19
"""So much is fetched at a time where a file is read from end to end."""

HEAD_BYTES = 1 << 16
"""So much of the beginning is kept: header, encoding and checksums are looked for there again."""


class RangeReader(io.RawIOBase):
    """One open file, without a buffer but for its beginning.

    Args:
        system: the file system, for its errors.
        path: there.
        file: what fsspec opened; it may be shared with others, and stand anywhere.
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
        """Return where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, and return which it is.

        Raises:
            UnreachableError: the file system does not answer.
        """
        if whence == os.SEEK_END:
            offset += self._size()
        elif whence == os.SEEK_CUR:
            offset += self._at
        if offset < 0:
            raise ValueError("a place before the beginning of a file")
        self._at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes, fewer than it holds also before the end.

        Raises:
            UnreachableError: the file system does not answer.
        """
        wanted = len(buffer)
        data = self._of_head(wanted) or self._fetch(self._at, wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes, fewer at the end alone; all that are left for -1.

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
            except Exception as error:  # noqa: BLE001 -- each library has errors of its own
                raise self._system.error(error, self._path) from None
            finally:
                super().close()

    def _of_head(self, size: int) -> bytes:
        """Return what of the next bytes is in the beginning that is kept."""
        if self._at >= HEAD_BYTES or not size:
            return b""
        if self._head is None:
            self._head = self._fetch(0, HEAD_BYTES)
        return self._head[self._at : self._at + size]

    def _fetch(self, start: int, size: int) -> bytes:
        """Return so many bytes from one on, fewer at the end."""
        pieces: list[bytes] = []
        try:
            self._file.seek(start)
            while size > 0 and (piece := self._file.read(size)):
                pieces.append(piece)
                size -= len(piece)
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            raise self._system.error(error, self._path) from None
        return b"".join(pieces)

    def _size(self) -> int:
        try:
            return int(self._file.seek(0, os.SEEK_END) or self._file.tell())
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            raise self._system.error(error, self._path) from None
