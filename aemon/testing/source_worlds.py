"""Worlds that a source reads from, in which a test makes records happen."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from aemon.records import Watermark
from aemon.sources.source import Replayable, Stream

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def moment(seconds: int) -> datetime:
    """Return the time so many seconds after the beginning of every world."""
    return EPOCH + timedelta(seconds=seconds)


class World:
    """A world that a replayable source reads.

    Attributes:
        source: what is tested.
        known_by_time: records of one time are one.
        secret: a password that the source was given, which it may not tell.
    """

    source: Replayable
    known_by_time = False
    secret = "hunter2"  # noqa: S105 -- made up

    def add(self, seconds: Sequence[int]) -> list[str]:
        """Make a record at each `moment`, with at least one number; return their keys."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of all that the world holds."""
        self.source.close()


class StreamWorld:
    """A world that a stream listens to.

    Attributes:
        stream: what is tested.
        secret: a password that the stream was given, which it may not tell.
        keeps: whether the other side keeps records until they are acknowledged. The stream of such a
            world was asked to `resume`.
    """

    stream: Stream
    secret = "hunter2"  # noqa: S105 -- made up
    keeps = False

    def add(self, seconds: Sequence[int]) -> list[str]:
        """Let a record arrive for each `moment`, with at least one number; return their keys."""
        raise NotImplementedError

    def crash(self, notes: Sequence[str], acknowledged: int) -> None:
        """End the stream as kill -9 does, and let another resume by these notes.

        Returns when what the other side has kept has come again. Asked of a world that `keeps`.

        Args:
            notes: those of the pieces that were kept.
            acknowledged: records of which the other side has got the acknowledgement.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of all that the world holds."""
        self.stream.close()


def keys_in_steps(
    source: Replayable, limit: int, watermark: Watermark | None = None
) -> Iterator[list[str]]:
    """Return the keys of each read, for a watermark that moves until there is no more."""
    while True:
        fetched = source.fetch(watermark, limit)
        yield [str(key) for key in fetched.table[source.roles.key]]
        watermark = fetched.watermark
        if not fetched.more:
            return


def all_keys(source: Replayable, limit: int, watermark: Watermark | None = None) -> list[str]:
    """Return the keys of all reads, for a watermark that moves until there is no more."""
    return [key for keys in keys_in_steps(source, limit, watermark) for key in keys]
