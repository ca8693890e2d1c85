"""A plant through thirty simulated days: drift, a new level, faults, and a week that is broken."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

START = datetime(2026, 6, 1, tzinfo=UTC)
DAY = 1440  # records: one a minute
COLUMNS = ("flow", "pressure", "current", "temperature", "vibration")
SPREADS = np.array([2.0, 0.5, 0.6, 3.0, 0.1])


@dataclass(frozen=True)
class Planted:
    """Something that happens between two records."""

    name: str
    first: int
    last: int

    def overlaps(self, first: datetime, last: datetime) -> bool:
        """Whether a stretch of event times touches it."""
        return first <= moment(self.last) and last >= moment(self.first)


@dataclass(frozen=True)
class Plan:
    """What happens, in records since the start."""

    days: int = 30
    drift: Planted = Planted("drift", 5 * DAY, 12 * DAY)
    shift: int = 14 * DAY
    broken: Planted = Planted("broken week", 20 * DAY, 27 * DAY)
    faults: tuple[Planted, ...] = field(
        default=tuple(
            Planted(name, round(day * DAY), round(day * DAY) + length)
            for name, day, length in (
                ("flow stuck low", 3.3, 30), ("pressure lost", 6.6, 25), ("current high", 8.2, 40),
                ("vibration", 11.4, 20), ("flow stuck low", 13.1, 30), ("temperature", 17.5, 45),
                ("pressure lost", 18.7, 25), ("vibration", 28.4, 20), ("current high", 29.3, 40),
            )
        )
    )  # fmt: skip

    def fault_at(self, number: int) -> str:
        """The fault a record is in; empty if in none."""
        return next((f.name for f in self.faults if f.first <= number <= f.last), "")


def moment(number: int) -> datetime:
    """When a record happens."""
    return START + timedelta(minutes=number)


def records(plan: Plan, first: int, last: int, seed: int) -> Iterator[tuple[Any, ...]]:
    """(id, ts, columns) of the records from `first` up to before `last`."""
    for number in range(first, last):
        rng = np.random.default_rng([seed, number])
        day = number / DAY
        load = 0.6 + 0.3 * np.sin(2 * np.pi * day) + 0.05 * rng.normal()
        values = np.array([20 * load, 6 - 3 * load, 5 * load, 40 + 25 * load, 0.4 + 0.5 * load])
        values += SPREADS * 0.15 * rng.normal(size=5)
        ramp = np.clip((number - plan.drift.first) / (plan.drift.last - plan.drift.first), 0, 1)
        values[3] += 2 * ramp  # the room warms up: four times its noise
        values[4] += 0.05 * ramp  # and bearings wear: three times
        if number >= plan.shift:
            values[0] += 8  # a larger pump was built in
            values[2] += 2
        _spoil(values, plan.fault_at(number))
        row: list[float | None] = values.tolist()
        if plan.broken.first <= number < plan.broken.last:
            if int(day) % 2:
                continue  # nothing comes
            row = [None] * 4 + [row[4]]  # only one wire holds
        yield (number, moment(number).isoformat(), *row)


def _spoil(values: np.ndarray, fault: str) -> None:
    if fault == "flow stuck low":
        values[0] = 2.0
    elif fault == "pressure lost":
        values[1] -= 4
    elif fault == "current high":
        values[2] += 5
    elif fault == "vibration":
        values[4] += 1.5
    elif fault == "temperature":
        values[3] += 40
