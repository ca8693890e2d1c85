"""The records that show a machine at work: only those are judged, and only those teach."""

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
    """What N records show of the operating state."""

    judged: Mask  # (N,) the condition holds, and has for long enough
    stretches: npt.NDArray[np.int64]  # (N,) which stretch of its entity, 0 where one may go on
    open: Mask  # (N,) a cell is missing, and the condition can't be told
    halted: Mapping[str, np.datetime64]  # entity -> time of its newest record, where not judged
    after: Starts


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """When records are judged. Made by `fit_operation`.

    Attributes:
        only_when: the condition, as text.
        settle: so long after it began to hold, records are not judged yet.
        wind_down: so long before it ceased to hold, records teach nothing.
        settle_rows: how many records of one entity came within that, at most, in training.
        readings: how cells are read, of columns that are not read as they are.
        starts: where the entities stood when the training ended.
    """

    only_when: str
    settle: np.timedelta64 = _AT_ONCE
    wind_down: np.timedelta64 = _AT_ONCE
    settle_rows: int = 0
    readings: Mapping[str, Reading] = field(default_factory=dict)
    starts: Starts = field(default_factory=Starts)

    @property
    def summary(self) -> str:
        """The condition as a part of a sentence, after "records for which"."""
        settled = f", for {_shown(self.settle)} at least" if self.settle else ""
        return f"`{self.only_when}` holds{settled}"

    @cached_property
    def condition(self) -> Condition:
        """The condition, read."""
        return parse_condition(self.only_when)

    def answer(self, values: pd.DataFrame) -> Answer:
        """Return for which of N records the condition holds, and for which nobody can tell.

        Raises:
            FrameError: one of its columns is missing.
        """
        values = named_columns(values)
        for name in columns_of(self.condition):
            if name not in values.columns:
                raise FrameError(
                    f"column {name!r}, which columns.only_when asks for, is missing; "
                    f"there are: {', '.join(values.columns) or 'none'}",
                    todo="restore the column, or change columns.only_when and train again",
                )
        return hold(self.condition, values, self.readings)

    def seen(self, values: pd.DataFrame) -> list[str]:
        """Return what the columns of the condition hold in N records, a part of a sentence each."""
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
        """See which of N records are judged.

        A record of which nobody can tell whether the condition holds is not judged, and is no
        sign that the machine stopped. Where no record before an entity's first one is known, the
        condition is taken to have held for long.

        Args:
            frame: the records.
            before: where the entities stood after the records before these.

        Raises:
            FrameError: a column of the condition is missing.
        """
        answer = self.answer(frame.values)
        known = before.by_entity if before is not None else {}
        told = np.flatnonzero(~answer.open)
        entities, times = frame.entities[told], frame.times[told]
        codes, names = pd.factorize(entities)
        late = _are_late(codes, [known.get(str(name)) for name in names], times)
        order = np.lexsort((times, 2 * codes + ~late))  # an entity's late records come first
        holds, times = answer.holds[told][order], times[order]
        first = np.ones(len(order), dtype=bool)  # of an entity, or of its late records
        first[1:] = (codes[order][1:] != codes[order][:-1]) | (late[order][1:] != late[order][:-1])
        start = self._began(holds, times, first, [
            None if late[place] else known.get(str(entities[place])) for place in order[first]
        ])  # fmt: skip
        judged = holds & (np.isnat(start) | (times - start >= self.settle))
        anew = np.zeros(len(order), dtype=np.int64)
        anew[1:] = judged[1:] & ~judged[:-1] & ~first[1:]
        counts = np.cumsum(anew)
        rows = told[order]
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
        whose = [str(entities[place]) for place in order[ends]]
        halted = {n: times[end] for n, end in zip(whose, ends, strict=True) if not judged[end]}
        newer = self._newer(whose, ends, holds, times, np.where(judged, _NEVER, start))
        return standing._replace(halted=halted, after=standing.after.with_newer(newer))

    def winding_down(self, frame: Frame) -> Mask:
        """Return which of N records lie so shortly before the condition ceased to hold (N,).

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
        """Return when the condition began to hold (N,), NaT where that was not seen.

        Args:
            holds: (N,) by entity, in the order of time.
            times: (N,)
            first: (N,) of an entity.
            known: where each entity stood before.
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
        """Return all of it, for `from_json`."""
        return {
            "only_when": self.only_when,
            "settle": int(self.settle.astype(np.int64)),
            "wind_down": int(self.wind_down.astype(np.int64)),
            "settle_rows": self.settle_rows,
            "readings": {name: one.as_json() for name, one in self.readings.items()},
            "starts": self.starts.as_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Operation | None":
        """Return the inverse of `as_json`; None of a detector that judges all records."""
        if not stored:
            return None
        readings = {name: Reading.from_json(one) for name, one in stored["readings"].items()}
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
    """Which records (N,) are older than the newest one known of their entity before these."""
    newest = np.array([_NEVER if one is None else one.newest for one in known], dtype=times.dtype)
    if not len(newest):
        return np.zeros(len(times), dtype=bool)
    return np.asarray(times < newest[codes], dtype=bool)  # nothing is before NaT


def _carried(counts: npt.NDArray[np.int64], first: Mask) -> npt.NDArray[np.int64]:
    """The count (N,) that each entity began with."""
    if not len(counts):
        return counts
    places = np.maximum.accumulate(np.where(first, np.arange(len(counts)), 0))
    return counts[places]
