"""The bytes of a file as lines of UTF-8, for every encoding and line end."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 1 << 16
"""Number of bytes at the beginning of a file from which its encoding and line ends are found."""

FALLBACK = "cp1252"
"""The encoding of a line that is not UTF-8, if the configuration names no encoding."""

MOST_LINE_BYTES = 1 << 24  # of the longest line; `TOO_LONG` replaces a longer line
TOO_LONG = b"(a line of more than 16 MB)"
_BLOCK_BYTES = 1 << 20
_BYTE_ORDER_MARK = "\ufeff".encode()
_MARKS = {  # a longer mark stands before a shorter mark with the same beginning
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
_FEW_BYTES = 4  # in fewer bytes, UTF-16 without a byte order mark is not recognised


class Encoding(NamedTuple):
    """The encoding and the line end of a file; `named`: the configuration gives the encoding."""

    name: str
    ending: bytes
    named: bool = False


def find_encoding(head: bytes, named: str | None) -> Encoding:
    """Return the configured encoding of a file, or else the encoding that its first bytes show."""
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    name = codecs.lookup(named).name if named else marked or _without_mark(head)
    if name in {"utf-16", "utf-32"}:
        name = marked or f"{name}-le"
    name = name.removesuffix("-sig")
    ending, other = "\n".encode(name), "\r".encode(name)
    start = _place_of(head, other, len(ending))
    alone = start >= 0 and start + len(other) < len(head)
    if alone and _place_of(head, ending, len(ending)) < 0:
        ending = other
    return Encoding(name, ending, named is not None)


def _without_mark(head: bytes) -> str:
    """Return UTF-16 if most bytes at even or at odd positions are zero; else UTF-8."""
    even, odd = head[::2], head[1::2]
    if len(head) >= _FEW_BYTES and not (0 in even and 0 in odd):
        if odd.count(0) * 2 > len(odd):
            return "utf-16-le"
        if even.count(0) * 2 > len(even):
            return "utf-16-be"
    return "utf-8"


def raw_lines(file: BinaryIO, encoding: Encoding) -> Iterator[tuple[bytes, int]]:
    """Yield (line, length) from the current place: a line with its end, and its length.

    The length is in bytes. The last line may have no line end. A line above `MOST_LINE_BYTES` is
    replaced by `TOO_LONG`.
    """
    if encoding.ending != b"\n":
        yield from _split(file, encoding)
        return
    while raw := file.readline(MOST_LINE_BYTES):
        length = len(raw)
        if length == MOST_LINE_BYTES and not raw.endswith(b"\n"):
            more = raw
            while not more.endswith(b"\n") and (more := file.readline(MOST_LINE_BYTES)):
                length += len(more)
            raw = TOO_LONG + (b"\n" if more else b"")
        yield raw, length


def _split(file: BinaryIO, encoding: Encoding) -> Iterator[tuple[bytes, int]]:
    ending, rest, dropped = encoding.ending, b"", 0
    instead = TOO_LONG.decode().encode(encoding.name)
    while block := file.read(_BLOCK_BYTES):
        rest += block
        begin = 0
        while (found := _place_of(rest, ending, len(ending), begin)) >= 0:
            raw = rest[begin : found + len(ending)]
            yield (instead + ending if dropped else raw), dropped + len(raw)
            begin, dropped = found + len(ending), 0
        rest = rest[begin:]
        if len(rest) > MOST_LINE_BYTES:
            kept = len(rest) % len(ending) + len(ending)  # a line end may begin here
            dropped += len(rest) - kept
            rest = rest[-kept:]
    if rest:
        yield (instead if dropped else rest), dropped + len(rest)


def _place_of(text: bytes, ending: bytes, unit: int, begin: int = 0) -> int:
    """Return the next position of `ending` that is a multiple of `unit` after `begin`; -1: none."""
    found = text.find(ending, begin)
    while found >= 0 and (found - begin) % unit:
        found = text.find(ending, found + 1)
    return found


def as_utf8(raw: bytes, encoding: Encoding) -> tuple[bytes, bool]:
    """Return a line in UTF-8 without its line end, and True if bytes do not fit the encoding."""
    foreign = False
    if encoding.name == "utf-8":
        text = raw
        if not raw.isascii():
            try:
                raw.decode()
            except UnicodeDecodeError:
                foreign = True
                name = "utf-8" if encoding.named else FALLBACK
                text = raw.decode(name, errors="replace").encode()
    else:
        decoded = raw.decode(encoding.name, errors="replace")
        foreign = "\ufffd" in decoded
        text = decoded.encode("utf-8", errors="replace")
    return text.removeprefix(_BYTE_ORDER_MARK).lstrip(b"\n").rstrip(b"\r\n"), foreign
