"""Clocks and durations: a clock is passed as an argument, a duration is text such as `15m`."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aemon.texts import cut

Clock = Callable[[], datetime]
"""The type of a function that returns the current time as an aware datetime in UTC."""

LONGEST = timedelta(days=36_500)
"""The longest accepted duration, a hundred years. A date this long before or after the current time
is still valid."""

SHORTEST = timedelta(milliseconds=10)
"""The shortest pause between runs, because each run costs a query and a row of the ledger."""

MOST_SKEW = timedelta(hours=1)
"""The largest difference between the clocks of two hosts.

If a stored time is ahead of the current time by more than this, the clock that gave the stored time
was wrong.
"""

LEAST_STEP = timedelta(minutes=1)
"""Only a difference larger than this is a step of a clock. NTP causes smaller differences when it
slews (slowly corrects) a clock."""

_DRIFT = 1e-3  # largest drift between two clocks, in seconds per second; NTP slews by half of this
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST_SHOWN = 40  # characters
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def utc_now() -> datetime:
    """Return the current time of the system clock, aware and in UTC."""
    return datetime.now(UTC)


class ClockSteps:
    """The recent steps of a clock, found by a comparison with another clock that cannot be set.

    Args:
        clock: the clock that may have steps, because a person or NTP can set it.
        hold: how long a step is remembered.
        steady: a function that returns the time of a monotonic clock, in seconds.
    """

    def __init__(
        self, clock: Clock, hold: timedelta, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._hold_seconds = hold.total_seconds()
        self._steady = steady
        self._clock_at, self._steady_at = clock(), steady()
        self._ahead = timedelta(0)
        self._hold_until = 0.0  # time of the steady clock

    def look(self) -> tuple[datetime, timedelta]:
        """Return the clock's time, and the sum of the clock's recent steps.

        A step forward is positive.
        """
        now, steady = self._clock(), self._steady()
        passed = timedelta(seconds=steady - self._steady_at)
        step = now - self._clock_at - passed
        self._clock_at, self._steady_at = now, steady
        if abs(step) > LEAST_STEP + _DRIFT * passed:
            self._ahead += step
            self._hold_until = steady + self._hold_seconds
        if steady >= self._hold_until:
            self._ahead = timedelta(0)
        return now, self._ahead

    def without_steps(self) -> datetime:
        """Return the clock's time minus its recent steps forward.

        Ages that are computed from this time are right.
        """
        now, ahead = self.look()
        return now - max(ahead, timedelta(0))


def is_wrong(noted: datetime, now: datetime) -> bool:
    """Return whether a stored time shows that the clock was set back after this time was stored.

    The stored time is then after `now` by more than `MOST_SKEW`.

    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> is_wrong(now + timedelta(days=2000), now), is_wrong(now + timedelta(seconds=1), now)
    (True, False)
    """
    return noted - now > MOST_SKEW


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `30s`, `15m`, `1h30m` or `1d`.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)

    Raises:
        ValueError: the text is not a positive duration, or is longer than a hundred years.
    """
    compact = text.strip().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(
            f"{shortened(text)} is not a duration; write for example 30s, 15m, 1h30m or 1d"
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError("a duration is at most 36500d, a hundred years")
    duration = timedelta(seconds=seconds)
    if duration <= timedelta(0):
        raise ValueError(f"{shortened(text)} is not longer than 0s")
    return duration


def shortened(text: str) -> str:
    """Return a text in quotes, shortened if it is too long for a message.

    >>> shortened("9" * 99)
    "'9999999999999999999999999999999999999999...'"
    """
    return repr(cut(text, _MOST_SHOWN))


def format_duration(duration: timedelta) -> str:
    """Return a duration as text that `parse_duration` reads, in the largest whole units.

    >>> format_duration(timedelta(seconds=5400))
    '1h30m'
    """
    left = round(duration.total_seconds() * 1000)
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_UNITS[unit] * 1000)
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
