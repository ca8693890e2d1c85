"""Worlds for tests: the data that a source reads, with methods to add records."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from aemon.records import Watermark
from aemon.sources.source import Replayable, Stream

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def moment(seconds: int) -> datetime:
    """Return the time that is `seconds` after the beginning of every world."""
    return EPOCH + timedelta(seconds=seconds)


class World:
    """The data that a replayable source reads in a test.

    Attributes:
        source: the source under test.
        known_by_time: whether records with equal times are the same record.
        secret: a password of the source, which no message may show.
    """

    source: Replayable
    known_by_time = False
    secret = "hunter2"  # noqa: S105 -- made up

    def add(self, seconds: Sequence[int]) -> list[str]:
        """Make a record with at least one number at each `moment`; return the records' keys."""
        raise NotImplementedError

    def close(self) -> None:
        """Close everything that the world has opened."""
        self.source.close()


class StreamWorld:
    """The data that a stream receives in a test.

    Attributes:
        stream: the stream under test.
        secret: a password of the stream, which no message may show.
        keeps: whether the server or broker keeps records until they are acknowledged. If True, the
            world must have called `resume` on the stream.
    """

    stream: Stream
    secret = "hunter2"  # noqa: S105 -- made up
    keeps = False

    def add(self, seconds: Sequence[int]) -> list[str]:
        """Let a record with at least one number arrive for each `moment`; return the keys."""
        raise NotImplementedError

    def crash(self, notes: Sequence[str], acknowledged: int) -> None:
        """End the stream as kill -9 does, and open a new stream that resumes after the crash.

        Return after the records that were not acknowledged have arrived again. A test calls this
        method only if `keeps` is True.

        Args:
            notes: the `Arrived.note` of each batch of stored records, for `Stream.resume`.
            acknowledged: number of records with an acknowledgement that the server has received.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close everything that the world has opened."""
        self.stream.close()


def keys_in_steps(
    source: Replayable, limit: int, watermark: Watermark | None = None
) -> Iterator[list[str]]:
    """Yield the keys of each read, with a watermark that moves until there are no more records."""
    while True:
        fetched = source.fetch(watermark, limit)
        yield [str(key) for key in fetched.table[source.roles.key]]
        watermark = fetched.watermark
        if not fetched.more:
            return


def all_keys(source: Replayable, limit: int, watermark: Watermark | None = None) -> list[str]:
    """Return the keys of all reads, with a watermark that moves until there are no more records."""
    return [key for keys in keys_in_steps(source, limit, watermark) for key in keys]
