"""A simulated plant of healthy pumps: the seed and the time determine every value.

A hidden load drives the columns of each pump. The load is the sum of a daily pattern (a day lasts
12 s here), a slower swing, and steps. A throttled valve lowers the load, and also shifts the
columns directly.
`aemon.demo.planted_faults` adds faults to the readings.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TICKS_PER_SECOND: Final = 10  # every pump reports once a tick
PUMPS: Final = ("p1", "p2", "p3", "p4")

# Each pattern of a pump happens at least twice in the first 25 s. If a pattern were missing from
# the training set of the demo's detector, the detector would rightly flag the pattern.
_DAY_SECONDS = 12.0
_SWING_SECONDS = 24.0
_STEP_SECONDS = 1.0
_STEP_LEVELS = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)  # a round has each level once, shuffled
_RAMP_SECONDS = 0.3  # duration of a change of load
_THROTTLED_LOAD = 0.15  # a throttled valve lowers the load by this much
_DAY_SHARE, _STEP_SHARE, _SWING_SHARE = 0.2, 0.65, 0.15  # shares of a load within -1..1

_POINT, _STEPS, _NOISE = range(3)  # independent streams of random numbers


class _Column(NamedTuple):
    """The coefficients of a column for load, valve and noise, all in the column's unit."""

    middle: float
    per_load: float
    throttled: float
    noise: float  # standard deviation
    pump: float  # largest shift of one pump's operating point
    digits: int  # decimals that the sensor reports


COLUMNS: Final = {
    "flow": _Column(60.0, 12.0, -6.0, 0.5, 0.6, 2),  # m3/h
    "pressure": _Column(5.0, 0.8, 0.5, 0.05, 0.04, 3),  # bar
    "temperature": _Column(58.0, 5.0, 0.0, 0.3, 0.4, 2),  # degC
    "vibration": _Column(2.2, 0.5, 0.2, 0.06, 0.05, 3),  # mm/s
    "current": _Column(30.0, 7.0, -1.0, 0.4, 0.4, 2),  # A
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Readings:
    """The readings of one pump at T ticks.

    Attributes:
        pump: the name of the pump.
        seconds: (T,) seconds since the plant started.
        load: (T,) within -1.15..1; hidden, because no sensor measures it.
        throttled: (T,) 0 where the valve is open, 1 where it is throttled.
        numbers: column -> (T,) in the column's unit; NaN where a reading is missing.
    """

    pump: str
    seconds: Floats
    load: Floats
    throttled: Floats
    numbers: dict[str, Floats]


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A plant of healthy pumps. The same seed gives the same readings, in calls of any size."""

    seed: int
    pumps: tuple[str, ...] = PUMPS
    _points: dict[str, tuple[Floats, Floats]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points = {}
        for pump in self.pumps:
            random = self._random(pump, _POINT, 0)
            shifts = random.uniform(-1, 1, len(COLUMNS))  # shifts of the operating point
            phases = random.uniform(-0.5, 0.5, 2)  # radians: each pump's day is shifted
            points[pump] = (shifts, phases)
        object.__setattr__(self, "_points", points)

    def readings(self, pump: str, first: int, last: int) -> Readings:
        """Return a pump's readings at the ticks first..last-1; tick 0 is the plant's start."""
        seconds = np.arange(first, last) / TICKS_PER_SECOND
        load, throttled = self._load(pump, seconds)
        noise = self._noise(pump, first, last)
        shifts, _ = self._points[pump]
        numbers = {
            name: np.round(
                column.middle
                + column.per_load * load
                + column.throttled * throttled
                + column.noise * noise[:, index]
                + column.pump * shifts[index],
                column.digits,
            )
            for index, (name, column) in enumerate(COLUMNS.items())
        }
        return Readings(pump=pump, seconds=seconds, load=load, throttled=throttled, numbers=numbers)

    def _load(self, pump: str, seconds: Floats) -> tuple[Floats, Floats]:
        """Return the load and the valve at `seconds` (T,) since the plant started.

        The load is (T,). The valve is (T,): 1 where the valve is throttled, 0 where it is open.
        """
        _, phases = self._points[pump]
        day = np.sin(2 * np.pi * seconds / _DAY_SECONDS + phases[0])
        swing = np.sin(2 * np.pi * seconds / _SWING_SECONDS + phases[1])
        number = np.floor(seconds / _STEP_SECONDS).astype(int)
        start, end = (int(number.min()), int(number.max())) if len(number) else (0, 0)
        steps = [self._step(pump, step) for step in range(start - 1, end + 1)]
        level, throttled = np.array(steps).T
        before, here = number - start, number - start + 1
        ramp = np.clip((seconds - number * _STEP_SECONDS) / _RAMP_SECONDS, 0, 1)
        step = level[before] + (level[here] - level[before]) * ramp
        load = _DAY_SHARE * day + _STEP_SHARE * step + _SWING_SHARE * swing
        return load - _THROTTLED_LOAD * throttled[here], throttled[here]

    def _step(self, pump: str, number: int) -> tuple[float, float]:
        """Return the level of the load in one step, and the valve: 1 throttled, 0 open.

        In one round the valve is throttled at every second level, and in the next round at all
        other levels.
        """
        round_, place = divmod(number, len(_STEP_LEVELS))
        random = self._random(pump, _STEPS, round_ + 1)  # the step before the start has round -1
        level = random.permutation(len(_STEP_LEVELS))[place]
        return _STEP_LEVELS[level], float((level + round_) % 2)

    def _noise(self, pump: str, first: int, last: int) -> Floats:
        """Return standard normal noise, (T, columns).

        Noise is made for whole seconds, so that it does not depend on the ticks that are read.
        """
        start, end = first // TICKS_PER_SECOND, -(-last // TICKS_PER_SECOND)
        shape = (TICKS_PER_SECOND, len(COLUMNS))
        drawn = [
            self._random(pump, _NOISE, second).standard_normal(shape)
            for second in range(start, max(end, start + 1))
        ]
        offset = first - start * TICKS_PER_SECOND
        return np.concatenate(drawn)[offset : offset + last - first]

    def _random(self, pump: str, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.pumps.index(pump), stream, number])
