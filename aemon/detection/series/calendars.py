"""The clock and the calendar on the wall: by what rhythms come again."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Rows, Times

if TYPE_CHECKING:
    from holidays import HolidayBase

SUNDAY = 6
_DAY_SECONDS = 86_400
_LABELS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Local(NamedTuple):
    """Where N times are on the wall."""

    weekdays: Rows  # (N,), 0 is Monday; a public holiday is a Sunday
    shares: npt.NDArray[np.float64]  # (N,) of the day that are over


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """A zone, and whose public holidays count as Sundays.

    Attributes:
        zone: an IANA name.
        holidays: a country or a part of one, such as DE or DE-BY; empty for none.
    """

    zone: str
    holidays: str = ""

    def local(self, times: Times) -> Local:
        """Return weekdays and shares of the day of times (N,) in UTC."""
        local = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(self.zone).tz_localize(None)
        days = local.normalize()
        seconds = (local - days).total_seconds().to_numpy()
        weekdays = local.day_of_week.to_numpy()
        if self.holidays:
            which, known = pd.factorize(days)
            free = np.array([bool(self.holiday(day.date())) for day in known], dtype=bool)
            weekdays = np.where(free[which], SUNDAY, weekdays)
        return Local(weekdays, seconds / _DAY_SECONDS)

    def holiday(self, day: date) -> str:
        """Return the name of a public holiday, empty for any other day.

        Raises:
            ModuleNotFoundError: the package that knows them is not installed.
        """
        return str(holidays_of(self.holidays).get(day) or "") if self.holidays else ""

    def day_name(self, time: pd.Timestamp) -> str:
        """Return the name of a holiday or a weekday, for a time on the wall."""
        return self.holiday(time.date()) or _LABELS[time.weekday()]


@lru_cache(maxsize=64)
def holidays_of(place: str) -> "HolidayBase":
    """Return the public holidays of a country or a part of one, by date.

    Raises:
        ModuleNotFoundError: the package that knows them is not installed.
        NotImplementedError: it knows no such place.
    """
    import holidays

    country, _, part = place.partition("-")
    return holidays.country_holidays(country, subdiv=part or None, language="en_US")
