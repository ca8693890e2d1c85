"""The operating state: only records of a working machine are judged and used in training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.clock import format_duration
from aemon.config.values.conditions import Condition, columns_of, parse_condition
from aemon.detection.arrays import Mask, Rows, Times
from aemon.detection.features.cells import EXAMPLE_LENGTH, read_numbers, read_texts
from aemon.detection.features.columns import MOST_SHOWN, named_columns
from aemon.detection.features.readings import AS_IS, Reading
from aemon.detection.operation.condition_answers import Answer, hold
from aemon.detection.operation.starts import Start, Starts
from aemon.errors import FrameError
from aemon.frame import Frame
from aemon.texts import cut

_AT_ONCE = np.timedelta64(0, "us")
_NEVER = np.datetime64("NaT", "us")


class Standing(NamedTuple):
    """The operating state of N records: which records are judged, and in which period they are.

    The periods of operation of each entity are numbered; period 0 may have begun before these
    records.
    """

    judged: Mask  # (N,) True if the condition has held for long enough
    stretches: npt.NDArray[np.int64]  # (N,) number of the period of operation
    open: Mask  # (N,) True if the result is open because a cell is missing
    halted: Mapping[
        str, np.datetime64
    ]  # entity -> time of its newest record, if this record is not judged
    after: Starts


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """The operating condition: only records for which the condition holds are judged.

    `fit_operation` returns it.

    Attributes:
        only_when: the condition, as text.
        settle: length of the time after the condition begins to hold; records in this time are not
            judged.
        wind_down: length of the time before the condition ceases to hold; records in this time are
            not used in training.
        settle_rows: largest number of records of one entity within `settle`, in the training
            records.
        readings: column -> conversion of its cells, for columns that need a conversion.
        starts: state of each entity after the training records.
    """

    only_when: str
    settle: np.timedelta64 = _AT_ONCE
    wind_down: np.timedelta64 = _AT_ONCE
    settle_rows: int = 0
    readings: Mapping[str, Reading] = field(default_factory=dict)
    starts: Starts = field(default_factory=Starts)

    @property
    def summary(self) -> str:
        """The condition as text, to be written after the words "records for which"."""
        settled = f" for at least {_shown(self.settle)}" if self.settle else ""
        return f"`{self.only_when}` holds{settled}"

    @cached_property
    def condition(self) -> Condition:
        """The parsed condition."""
        return parse_condition(self.only_when)

    def answer(self, values: pd.DataFrame) -> Answer:
        """Return for which of N records the condition holds, and for which the result is open.

        Raises:
            FrameError: a column of the condition is missing.
        """
        values = named_columns(values)
        for name in columns_of(self.condition):
            if name not in values.columns:
                raise FrameError(
                    f"column {name!r}, used by columns.only_when, is missing; "
                    f"the records have: {', '.join(values.columns) or 'none'}",
                    todo="restore the column, or change columns.only_when and train again",
                )
        return hold(self.condition, values, self.readings)

    def seen(self, values: pd.DataFrame) -> list[str]:
        """Return a text for each column of the condition, with the values in N records.

        Each text is a part of a sentence.
        """
        found = []
        values = named_columns(values)
        for name in columns_of(self.condition):
            cells = self.readings.get(name, AS_IS).prepare(values[name])
            numbers = read_numbers(cells)
            if not np.isnan(numbers).all():
                low, high = np.nanmin(numbers), np.nanmax(numbers)
                found.append(f"{name} is {low:.10g} to {high:.10g}")
            else:
                texts = [cut(text, EXAMPLE_LENGTH) for text in read_texts(cells)[0][:MOST_SHOWN]]
                found.append(f"{name} is {', '.join(map(repr, texts)) or 'missing'}")
        return found

    def look(self, frame: Frame, before: Starts | None = None) -> Standing:
        """Return the operating state of N records, and the state of each entity after its records.

        A record is not judged if the result of the condition is open. An open result does not mean
        that the machine stopped. If no earlier record of an entity is known, and the condition
        holds for its first record, the condition is assumed to have held for longer than `settle`.

        Args:
            frame: the records.
            before: state of each entity after the earlier records.

        Raises:
            FrameError: a column of the condition is missing.
        """
        answer = self.answer(frame.values)
        known = before.by_entity if before is not None else {}
        answered = np.flatnonzero(~answer.open)
        entities, times = frame.entities[answered], frame.times[answered]
        codes, names = pd.factorize(entities)
        late = _are_late(codes, [known.get(str(name)) for name in names], times)
        order = np.lexsort((times, 2 * codes + ~late))  # late records of an entity first
        holds, times = answer.holds[answered][order], times[order]
        first = np.ones(
            len(order), dtype=bool
        )  # first record of an entity, or its first late record
        first[1:] = (codes[order][1:] != codes[order][:-1]) | (late[order][1:] != late[order][:-1])
        start = self._began(holds, times, first, [
            None if late[place] else known.get(str(entities[place])) for place in order[first]
        ])  # fmt: skip
        judged = holds & (np.isnat(start) | (times - start >= self.settle))
        begins = np.zeros(len(order), dtype=np.int64)
        begins[1:] = judged[1:] & ~judged[:-1] & ~first[1:]
        counts = np.cumsum(begins)
        rows = answered[order]
        standing = Standing(
            judged=np.zeros(len(frame), dtype=bool),
            stretches=np.zeros(len(frame), dtype=np.int64),
            open=answer.open,
            halted={},
            after=before or Starts(),
        )
        standing.judged[rows] = judged
        standing.stretches[rows] = counts - _carried(counts, first)
        ends = np.flatnonzero(np.append(first[1:], True) & ~late[order]) if len(order) else order
        entity_names = [str(entities[place]) for place in order[ends]]
        halted = {
            n: times[end] for n, end in zip(entity_names, ends, strict=True) if not judged[end]
        }
        newer = self._newer(entity_names, ends, holds, times, np.where(judged, _NEVER, start))
        return standing._replace(halted=halted, after=standing.after.with_newer(newer))

    def winding_down(self, frame: Frame) -> Mask:
        """Return a mask (N,) of records within `wind_down` before the condition ceases to hold.

        Raises:
            FrameError: a column of the condition is missing.
        """
        answer = self.answer(frame.values)
        stops = np.where(answer.holds | answer.open, _NEVER, frame.times)
        codes, _ = pd.factorize(frame.entities)
        order = np.lexsort((frame.times, codes))
        ordered = pd.Series(stops[order]).groupby(codes[order]).bfill()
        following = np.empty_like(stops)
        following[order] = ordered.to_numpy(dtype=stops.dtype)
        return np.asarray(following - frame.times <= self.wind_down, dtype=bool)

    def _began(self, holds: Mask, times: Times, first: Mask, known: list[Start | None]) -> Times:
        """Return the time (N,) at which the condition began to hold; NaT if the time is not known.

        Args:
            holds: (N,) True where the condition holds; records are sorted by entity, then by time.
            times: (N,) event times, in the same order.
            first: (N,) mask of the first record of each entity.
            known: state of each entity after the earlier records; None if it is unknown.
        """
        begins = np.zeros(len(holds), dtype=bool)
        begins[1:] = holds[1:] & ~holds[:-1] & ~first[1:]
        start = np.full(len(holds), _NEVER)
        start[begins] = times[begins]
        for place, stood in zip(np.flatnonzero(first).tolist(), known, strict=True):
            if stood is not None and holds[place] and not stood.holds:
                begins[place], start[place] = True, times[place]
            elif stood is not None and holds[place] and stood.since is not None:
                begins[place], start[place] = True, stood.since
        marks = begins | first | ~holds
        last = np.maximum.accumulate(np.where(marks, np.arange(len(holds)), 0))
        return start[last] if len(holds) else start

    def _newer(
        self, names: list[str], ends: Rows, holds: Mask, times: Times, start: Times
    ) -> dict[str, Start]:
        if not self.settle:
            return {}
        return {
            name: Start(
                newest=times[end],
                holds=bool(holds[end]),
                since=None if np.isnat(start[end]) or not holds[end] else start[end],
            )
            for name, end in zip(names, ends.tolist(), strict=True)
        }

    def as_json(self) -> dict[str, Any]:
        """Return all attributes in JSON types, for `from_json`."""
        return {
            "only_when": self.only_when,
            "settle": int(self.settle.astype(np.int64)),
            "wind_down": int(self.wind_down.astype(np.int64)),
            "settle_rows": self.settle_rows,
            "readings": {name: reading.as_json() for name, reading in self.readings.items()},
            "starts": self.starts.as_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Operation | None":
        """Return the condition that `as_json` converted; None if all records are judged."""
        if not stored:
            return None
        readings = {
            name: Reading.from_json(reading) for name, reading in stored["readings"].items()
        }
        return cls(
            only_when=stored["only_when"],
            settle=np.timedelta64(stored["settle"], "us"),
            wind_down=np.timedelta64(stored["wind_down"], "us"),
            settle_rows=stored["settle_rows"],
            readings=readings,
            starts=Starts.from_json(stored["starts"]),
        )


def _shown(settle: np.timedelta64) -> str:
    return format_duration(timedelta(microseconds=int(settle.astype(np.int64))))


def _are_late(codes: Rows, known: list[Start | None], times: Times) -> Mask:
    """Return a mask (N,) of records that are older than the newest known record of their entity."""
    newest = np.array([_NEVER if one is None else one.newest for one in known], dtype=times.dtype)
    if not len(newest):
        return np.zeros(len(times), dtype=bool)
    return np.asarray(times < newest[codes], dtype=bool)  # no time is before NaT


def _carried(counts: npt.NDArray[np.int64], first: Mask) -> npt.NDArray[np.int64]:
    """Return for each record (N,) the count at the first record of the same entity."""
    if not len(counts):
        return counts
    places = np.maximum.accumulate(np.where(first, np.arange(len(counts)), 0))
    return counts[places]
