"""Samples of Prometheus remote write as parts of records, one for each entity and time step."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from aemon.frame import printable
from aemon.sources.push.batches import Batch, Problem
from aemon.sources.push.series_columns import column_of, read_selector
from aemon.sources.push.settings import PushSource, RemoteWrite
from aemon.sources.push.write_request import Series, decode_label, decode_request
from aemon.times.event_times import EARLIEST, LATEST

HISTOGRAM, SAME_COLUMN, FAR_TIME = "native_histogram", "same_column", "time_out_of_range"
MOST_KNOWN = 100_000  # number of series with cached columns
LOOKBACK_MS = 5 * 60_000  # as in Prometheus: a series without samples for this time has ended

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_FIRST, _LAST = (int(edge.astype("datetime64[ms]").astype("int64")) for edge in (EARLIEST, LATEST))

_Place = tuple[str, str, str]
"""Entity, column, and the labels as text for people."""


class SampleReader:
    """A reader of one monitor's requests; the reader remembers which series fills which column.

    If two series filled the same column of an entity at the same time, their values would overwrite
    each other. So the samples of the second series are rejected. After a series has ended, another
    series may fill its column.

    Args:
        source: the settings of the monitor's source.
        settings: the part `remote_write` of these settings.
    """

    def __init__(self, source: PushSource, settings: RemoteWrite) -> None:
        self._entity = source.entity
        self._step_ms = max(settings.step // _MS, 1)
        self._selectors = {
            column: read_selector(text) for column, text in (settings.columns or {}).items()
        }
        self._places: dict[tuple[bytes, ...], _Place | None] = {}
        self._owners: dict[tuple[str, str], tuple[tuple[bytes, ...], int]] = {}

    def read(self, body: bytes) -> Batch:
        """Return the parts of records in an uncompressed request.

        The `line` of a problem is the number of the series in the request, counted from 1.

        Raises:
            UnreadableBodyError: the body is not a WriteRequest.
        """
        batch = Batch(times=[], keys=[], is_parts=True)
        parts: dict[tuple[str, int], dict[str, Any]] = {}
        for number, series in enumerate(decode_request(body), start=1):
            place = self._place(series.labels)
            if place is not None:
                self._add(series, place, number, parts, batch)
        times, keys = batch.times or [], batch.keys or []
        for (entity, begin), values in sorted(parts.items(), key=lambda part: part[0][::-1]):
            time = _EPOCH + begin * _MS
            named = {} if self._entity is None else {self._entity: entity}
            batch.add(values | named, len(batch.lines) + 1)
            times.append(time)
            keys.append(time.isoformat(timespec="milliseconds"))
        return Batch(
            batch.records, batch.lines, times, keys, batch.problems, batch.texts, is_parts=True
        )

    def _add(
        self,
        series: Series,
        place: _Place,
        number: int,
        parts: dict[tuple[str, int], dict[str, Any]],
        batch: Batch,
    ) -> None:
        entity, column, text = place
        if series.histograms:
            problem = f"{text} is a native histogram, which aemon does not read; send its quantiles"
            batch.reject(
                Problem(line=number, reason=HISTOGRAM, problem=problem), _as_json(series, text)
            )
        if not series.samples:
            return
        far = [at for at, _ in series.samples if not _FIRST <= at <= _LAST]
        if far:
            problem = f"{text} has the time {far[0]} ms since 1970, which is out of range"
            batch.reject(
                Problem(line=number, reason=FAR_TIME, problem=problem), _as_json(series, text)
            )
            return
        if not self._owns(series, (entity, column)):
            problem = f"{text} fills the column {column} of {entity!r}, as another series does; "
            problem += "give each series its own column (remote_write.columns) or its own entity"
            batch.reject(
                Problem(line=number, reason=SAME_COLUMN, problem=problem), _as_json(series, text)
            )
            return
        for at, value in series.samples:
            if math.isfinite(value):  # NaN is a stale marker, or no value
                parts.setdefault((entity, at - at % self._step_ms), {})[column] = value

    def _owns(self, series: Series, column: tuple[str, str]) -> bool:
        first, last = series.samples[0][0], series.samples[-1]
        known = self._owners.get(column)
        if known is not None and known[0] != series.labels and first <= known[1] + LOOKBACK_MS:
            return False
        if len(self._owners) >= MOST_KNOWN and known is None:
            self._owners.clear()
        ended = math.isnan(last[1])
        self._owners[column] = (series.labels, last[0] - (LOOKBACK_MS + 1 if ended else 0))
        return True

    def _place(self, labels: tuple[bytes, ...]) -> _Place | None:
        """Return the entity and column of a series; None if no column takes the series."""
        if labels in self._places:
            return self._places[labels]
        if len(self._places) >= MOST_KNOWN:
            self._places.clear()
        named = dict(decode_label(label) for label in labels)
        entity = printable(named.get(self._entity, "")) if self._entity is not None else ""
        column: str | None = column_of(named, self._entity)
        if self._selectors:
            takes = (name for name, selector in self._selectors.items() if selector.takes(named))
            column = next(takes, None)
        place = None if not column else (entity, column, column_of(named, None))
        self._places[labels] = place
        return place


def _as_json(series: Series, text: str) -> str:
    return json.dumps({"series": text, "samples": series.samples[:10]})
