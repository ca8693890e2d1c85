"""Made-up machines that are switched on and off: at work their columns hang together."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np

from tests.readings import START

COLUMNS = ("ts TEXT", "machine TEXT", "speed REAL", "flow REAL", "pressure REAL")
ON, OFF, WARMING = 70, 30, 5
"""Records in a row of a machine at work and at rest, and how many of the first are far from usual."""


def is_on(number: int) -> bool:
    return number % (ON + OFF) < ON


def is_warming(number: int) -> bool:
    return is_on(number) and number % (ON + OFF) < WARMING and number >= ON + OFF


def rows(count: int, *, first: int = 0, fault: int | None = None) -> Iterator[tuple[Any, ...]]:
    """(id, ts, machine, speed, flow, pressure), a record a second; the same for the same number."""
    for number in range(first, first + count):
        rng = np.random.default_rng([7, number])
        load = rng.uniform(0.4, 1.0)
        noise = rng.normal(size=3) * 0.02
        values = [50 * load + noise[0], 10 * load + noise[1], 4 - 2 * load + noise[2]]
        if not is_on(number):
            values = [0.0, float(rng.normal(0, 3)), float(rng.normal(9, 3))]
        elif is_warming(number):
            values[1:] = [float(rng.normal(0, 3)), float(rng.normal(9, 3))]
        if number == fault:
            values[1] = 40.0
        time = START + timedelta(seconds=number)
        yield (number, time.isoformat(), "m1", *values)
