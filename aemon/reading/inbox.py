"""The inbox of a monitor: what a stream says once, the store keeps."""

import json
from collections.abc import Callable

from aemon.frame import check_frame
from aemon.sources.source import Stream
from aemon.store.kept_records import keep_history
from aemon.store.store import Row, Store

_RECORDS_AT_ONCE = 10_000  # taken from the stream and written in one go


class Inbox:
    """Writes the records of a stream into the store, from where they are read and judged.

    Args:
        open_stream: opens where the records come from, at the first need.
        store: where they are kept.
        monitor: whose they are.
        keep: how many of the newest records to keep.
    """

    def __init__(
        self, open_stream: Callable[[], Stream], store: Store, monitor: str, keep: int
    ) -> None:
        self._open_stream = open_stream
        self._stream: Stream | None = None
        self._closed = False
        self._store = store
        self._monitor = monitor
        self._keep = keep

    def write_arrived(self) -> int:
        """Write all records that have arrived; return how many.

        Raises:
            AemonError: the stream or the store is at fault.
        """
        if self._stream is None:
            if self._closed:
                return 0
            self._stream = self._open_stream()
        written, more = 0, True
        while more:
            count, more = self._write_some(self._stream)
            written += count
        return written

    def _write_some(self, stream: Stream) -> tuple[int, bool]:
        arrived = stream.take(_RECORDS_AT_ONCE)
        frame = check_frame(arrived.table, stream.roles)
        records = json.loads(frame.values.to_json(orient="records", double_precision=15))
        rows: list[Row] = [
            {"record_key": key, "event_time": time, "record": record}
            for key, time, record in zip(
                frame.keys.tolist(), frame.times.tolist(), records, strict=True
            )
        ]
        keep_history(self._store, self._monitor, rows, self._keep)
        return len(rows), arrived.more

    def close(self) -> None:
        """Let go of the stream."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()
