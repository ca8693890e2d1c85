"""The faults planted in the simulated plant: their effects, times, pumps and columns."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from aemon.demo.plant import COLUMNS, TICKS_PER_SECOND, Floats, Plant, Readings

FAULT_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 4.0
FIRST_FAULT_SECONDS: Final = 40.0  # 25 s for 1,000 records, the rest of the time for training

_ONSET_SECONDS = 0.6  # the time in which a leak opens
_LEAK = {"pressure": -0.6, "flow": -9.0}  # bar, m3/h, after the leak has opened
_WEAR = {"vibration": 0.9, "temperature": 6.0}  # mm/s, degC, at the end of the fault
_DROPPED_OUT = ("pressure", "flow", "temperature")
_LOST_EVERY_TICKS = 4  # in a drop-out, every fourth reading is missing, and all others are 0
_MIRRORED = 0.5  # share of the load: small, so that the column stays within its healthy range


class FaultKind(StrEnum):
    """A kind of fault of a pump or its sensors."""

    STUCK_SENSOR = "stuck sensor"
    LEAK = "leak"
    BEARING_WEAR = "bearing wear"
    DROP_OUT = "drop-out"
    BROKEN_CORRELATION = "broken correlation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One planted fault; its times are in seconds since the plant started."""

    kind: FaultKind
    pump: str
    start_seconds: float
    seconds: float
    columns: tuple[str, ...]

    @property
    def end_seconds(self) -> float:
        """The end of the fault, in seconds since the plant started."""
        return self.start_seconds + self.seconds


def fault_schedule(
    plant: Plant, *, first_at: float = FIRST_FAULT_SECONDS, until: float = math.inf
) -> Iterator[Fault]:
    """Yield faults of the five kinds in turn.

    Args:
        plant: the plant.
        first_at: the start of the first fault, in seconds since the plant started.
        until: the latest end of a fault, in seconds since the plant started.
    """
    last_pump = ""
    start = first_at
    kinds = tuple(FaultKind)
    number = 0
    while start + FAULT_SECONDS <= until:
        kind = kinds[number % len(kinds)]
        random = np.random.default_rng([plant.seed, number])
        fault = Fault(
            kind=kind,
            pump=_pump(plant, kind, start, last_pump, random),
            start_seconds=start,
            seconds=FAULT_SECONDS,
            columns=_columns(kind, random),
        )
        yield fault
        last_pump = fault.pump
        start += FAULT_SECONDS + PAUSE_SECONDS
        number += 1


def plant_faults(plant: Plant, healthy: Readings, faults: Iterable[Fault]) -> Readings:
    """Return a pump's readings with the effects of its faults, each while the fault lasts."""
    numbers = dict(healthy.numbers)
    for fault in faults:
        age = healthy.seconds - fault.start_seconds
        hit = (age >= 0) & (age < fault.seconds)
        if fault.pump == healthy.pump and hit.any():
            for column in fault.columns:
                faulty = _faulty(plant, fault, column, healthy, numbers[column])
                numbers[column] = np.where(
                    hit, np.round(faulty, COLUMNS[column].digits), numbers[column]
                )
    return replace(healthy, numbers=numbers)


def _faulty(plant: Plant, fault: Fault, column: str, healthy: Readings, value: Floats) -> Floats:
    """Return the faulty values of a column, (T,), as if the fault never ended."""
    age = healthy.seconds - fault.start_seconds
    match fault.kind:
        case FaultKind.STUCK_SENSOR:
            first = _tick(fault.start_seconds)
            return np.full_like(
                value, plant.readings(fault.pump, first, first + 1).numbers[column][0]
            )
        case FaultKind.LEAK:
            return value + _LEAK[column] * np.clip((age + 0.1) / _ONSET_SECONDS, 0, 1)
        case FaultKind.BEARING_WEAR:
            return value + _WEAR[column] * age / fault.seconds
        case FaultKind.DROP_OUT:
            lost = np.round(age * TICKS_PER_SECOND) % _LOST_EVERY_TICKS == _LOST_EVERY_TICKS - 1
            return np.where(lost, np.nan, 0.0)
        case FaultKind.BROKEN_CORRELATION:
            mirrored = -_MIRRORED * healthy.load
            return value + COLUMNS[column].per_load * (mirrored - healthy.load)


def _columns(kind: FaultKind, random: np.random.Generator) -> tuple[str, ...]:
    match kind:
        case FaultKind.STUCK_SENSOR:
            return ("flow",)
        case FaultKind.LEAK:
            return tuple(_LEAK)
        case FaultKind.BEARING_WEAR:
            return tuple(_WEAR)
        case FaultKind.DROP_OUT:
            return (str(random.choice(_DROPPED_OUT)),)
        case FaultKind.BROKEN_CORRELATION:
            return ("current",)


def _pump(
    plant: Plant, kind: FaultKind, start: float, last_pump: str, random: np.random.Generator
) -> str:
    """Return a pump at which the fault is visible; if possible, not the pump of the last fault.

    At a constant load a stuck sensor looks normal; so its pump is the pump with the most changing
    load. At a middle load a mirrored current looks normal; so its pump is the pump with the load
    farthest from the middle.
    """
    others = [pump for pump in plant.pumps if pump != last_pump] or list(plant.pumps)
    first = _tick(start)
    loads = {
        pump: plant.readings(pump, first, first + _tick(FAULT_SECONDS)).load for pump in others
    }
    match kind:
        case FaultKind.STUCK_SENSOR:
            return max(others, key=lambda pump: float(np.abs(loads[pump] - loads[pump][0]).mean()))
        case FaultKind.BROKEN_CORRELATION:
            return max(others, key=lambda pump: float(np.abs(loads[pump]).mean()))
        case _:
            return str(random.choice(others))


def _tick(seconds: float) -> int:
    return round(seconds * TICKS_PER_SECOND)
