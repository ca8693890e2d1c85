"""Local time and calendar with public holidays, for daily and weekly seasons."""

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
    """Local times of N records."""

    weekdays: Rows  # (N,), 0 is Monday; a public holiday counts as a Sunday
    shares: npt.NDArray[np.float64]  # (N,) elapsed share of the day


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """A time zone, and a country or region whose public holidays count as Sundays.

    Attributes:
        zone: IANA name of the time zone.
        holidays: code of a country or of a region, such as DE or DE-BY; empty for no holidays.
    """

    zone: str
    holidays: str = ""

    def local(self, times: Times) -> Local:
        """Return local weekdays and elapsed shares of the day for times (N,) in UTC."""
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
        """Return the name of the public holiday on this day; empty for all other days.

        Raises:
            ModuleNotFoundError: the package `holidays` is not installed.
        """
        return str(holidays_of(self.holidays).get(day) or "") if self.holidays else ""

    def day_name(self, time: pd.Timestamp) -> str:
        """Return the name of the holiday, or else of the weekday, of a local time."""
        return self.holiday(time.date()) or _LABELS[time.weekday()]


@lru_cache(maxsize=64)
def holidays_of(place: str) -> "HolidayBase":
    """Return date -> public holiday, for a country or a region.

    Raises:
        ModuleNotFoundError: the package `holidays` is not installed.
        NotImplementedError: the package does not know this country or region.
    """
    import holidays

    country, _, part = place.partition("-")
    return holidays.country_holidays(country, subdiv=part or None, language="en_US")
