"""Decompression of snappy's block format, in which Prometheus sends its samples."""

from aemon.errors import SourceConfigError
from aemon.sources.push.batches import UnreadableBodyError


class LargeBodyError(ValueError):
    """A decompressed body would be larger than allowed."""


def unpack_snappy(body: bytes, most_bytes: int) -> bytes:
    """Return the decompressed body; the size is checked before memory is allocated.

    Raises:
        LargeBodyError: the body would have more than `most_bytes` bytes.
        SourceConfigError: cramjam is not installed.
        UnreadableBodyError: the body is not compressed by snappy, or is cut off.
    """
    try:
        import cramjam
    except ModuleNotFoundError:
        raise SourceConfigError(
            "remote write needs the package cramjam, which is not installed",
            todo="pip install 'aemon[remote-write]'",
        ) from None
    try:
        if cramjam.snappy.decompress_raw_len(body) > most_bytes:
            raise LargeBodyError
        return bytes(cramjam.snappy.decompress_raw(body))
    except (cramjam.DecompressionError, OverflowError):
        raise UnreadableBodyError("the body is not compressed by snappy, or is cut off") from None
