"""Event times that are written as numbers. The size of a number decides its unit."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Moments = npt.NDArray[np.datetime64]
"""An array (N,) of datetime64[us], with NaT for a number that is not a time."""

NO_TIME = np.datetime64("NaT", "us")

# Pairs (limit, unit): numbers below the limit are counts of the unit, which is in microseconds.
_EPOCH_UNITS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (9e18, 1e-3))
_UNIX = {"unix": 1e6, "unix_ms": 1e3, "unix_us": 1.0, "unix_ns": 1e-3}
# Numbers from the first to the second value are not times: as seconds, they are times of the year
# 1970, which are not credible. Smaller numbers, such as counts of rows or the seconds of a
# simulation, are read as seconds, as in all earlier versions.
_UNLIKELY_SECONDS = (20_000, 366 * 86_400)

_DAY_MICROSECONDS = 86_400e6
# Counts of days: the number of 1 January 1970, the first accepted number, and the upper bound.
_DAYS = {
    "excel": (25_569.0, 32_874, 73_051),  # 1990 to 2100; smaller numbers may be other counts
    "matlab": (719_529.0, 693_962, 767_011),  # 1900 to 2100
    "julian": (2_440_587.5, 2_415_020, 2_488_070),  # 1900 to 2100
    "mjd": (40_587.0, 1, 0),  # only by name: present MJD numbers are also Excel numbers of 2066
}
_UTC_DAYS = ("julian", "mjd")  # astronomers count in UTC, office programs in local time
_TENTHS = {  # counts of tenths of a microsecond: the number of 1 January 1970
    "ticks": 621_355_968_000_000_000,
    "filetime": 116_444_736_000_000_000,
}
# Numbers with two meanings: nanoseconds of 1973 to 1974 and of early 1990, or tenths of a
# microsecond of the present years.
_DOUBTFUL = ((119_600_000_000_000_000, 157_766_400_000_000_000),
             (628_000_000_000_000_000, 642_000_000_000_000_000))  # fmt: skip
# Digits of a date, with or without a time of day: number of digits, and strptime format.
_DIGITS = ((8, "%Y%m%d"), (14, "%Y%m%d%H%M%S"), (17, "%Y%m%d%H%M%S%f"))
# Digits with two meanings: they can also be milliseconds of 1973 to 2001.
_DOUBTFUL_DIGITS = ((12, "%Y%m%d%H%M"), (12, "%y%m%d%H%M%S"))
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def times_of_numbers(numbers: pd.Series) -> tuple[Moments, Moments]:
    """Read N numbers as times; the size of each number decides its meaning.

    A number is a count of seconds, milliseconds, microseconds or nanoseconds since 1970, or a count
    of days as in spreadsheets and astronomy, or the digits of a date (20251117130000). A number
    that has two of these meanings is not a time. A number of seconds in the year 1970 is not a
    time, except numbers below 20,000.

    Returns:
        Two arrays (N,): times in UTC, and times by the wall clock of the source. For each number,
        at most one of the two values is a time; the other value is NaT.
    """
    size = numbers.to_numpy(dtype=float, na_value=np.nan)
    fixed, local = _since_1970(numbers), np.full(len(numbers), NO_TIME)
    with np.errstate(invalid="ignore"):
        unlikely = np.zeros(len(size), dtype=bool)
        for low, high in (_UNLIKELY_SECONDS, *_DOUBTFUL):
            unlikely |= (size >= low) & (size < high)
        fixed[unlikely] = NO_TIME
        for name, (_, low, high) in _DAYS.items():
            rows = (size >= low) & (size < high)
            (fixed if name in _UTC_DAYS else local)[rows] = _of_days(size[rows], name)
    for digits, form in _DIGITS:
        read = _of_digits(numbers, size, digits, form)
        is_read = ~np.isnat(read)
        fixed[is_read], local[is_read] = NO_TIME, read[is_read]
    for digits, form in _DOUBTFUL_DIGITS:
        doubtful = ~np.isnat(_of_digits(numbers, size, digits, form))
        if doubtful.any() and doubtful[~np.isnan(size)].all():
            fixed[doubtful] = NO_TIME
    return fixed, local


def lie_in_1970(column: pd.Series, times: Moments) -> bool:
    """Return whether more than half of N values are numbers that were read as times of 1970.

    Args:
        column: (N,) the values.
        times: (N,) the times that were read from the values.
    """
    are_numbers = pd.to_numeric(column, errors="coerce").notna().to_numpy(dtype=bool)
    in_1970 = np.abs(times - np.datetime64(0, "s")) < np.timedelta64(_UNLIKELY_SECONDS[1], "s")
    return len(times) > 0 and bool((are_numbers & in_1970).mean() > 0.5)  # noqa: PLR2004


def times_by_name(numbers: pd.Series, name: str) -> tuple[Moments, Moments]:
    """Read N numbers as times in one numeric format, such as seconds since 1970.

    Args:
        numbers: (N,) the numbers.
        name: name of the format, one of `time_format.NAMES`.

    Returns:
        Two arrays (N,): times in UTC, and times by the wall clock, as in `times_of_numbers`.
    """
    none = np.full(len(numbers), NO_TIME)
    if name in _UNIX:
        return _since_1970(numbers, _UNIX[name]), none
    if name in _DAYS:
        size = numbers.to_numpy(dtype=float, na_value=np.nan)
        size = np.where(np.abs(size) < 1e7, size, np.nan)  # noqa: PLR2004 -- about the year 20000
        days = _of_days(size, name)
        return (days, none) if name in _UTC_DAYS else (none, days)
    whole = pd.to_numeric(numbers, errors="coerce")
    inside = whole.between(0, 9e18).fillna(value=False).to_numpy(dtype=bool)
    tenths = whole[inside].to_numpy(dtype=np.int64, na_value=0)
    local = none.copy()
    local[inside] = ((tenths - _TENTHS[name]) // 10).astype("datetime64[us]")
    return none, local


def _since_1970(numbers: pd.Series, unit: float | None = None) -> Moments:
    """Return times (N,) of counts since 1970; whole numbers are converted exactly.

    Args:
        numbers: (N,) the counts.
        unit: the unit in microseconds; None if the size of each number decides its unit.
    """
    exact = numbers.dtype.kind in "iu" and not numbers.hasnans
    values = numbers.to_numpy() if exact else numbers.to_numpy(dtype=float, na_value=np.nan)
    size = np.abs(values.astype(float))
    times = np.full(len(numbers), NO_TIME)
    below = 0.0
    for most, per_microsecond in _EPOCH_UNITS if unit is None else ((9e18 / unit, unit),):
        rows = (size >= below) & (size < most)
        below = most
        if per_microsecond >= 1 and not exact:
            micros = np.rint(values[rows] * per_microsecond).astype(np.int64)
        elif per_microsecond >= 1:
            micros = values[rows].astype(np.int64) * int(per_microsecond)
        else:
            micros = (values[rows] // (1 / per_microsecond)).astype(np.int64)
        times[rows] = micros.astype("datetime64[us]")
    return times


def _of_days(days: npt.NDArray[np.float64], name: str) -> Moments:
    """Return times (N,) of counts of days; NaT for NaN.

    Args:
        days: (N,) the counts.
        name: name of the format, a key of `_DAYS`.
    """
    is_number = ~np.isnan(days)
    times = np.full(len(days), NO_TIME)
    micros = np.rint((days[is_number] - _DAYS[name][0]) * _DAY_MICROSECONDS)
    times[is_number] = micros.astype(np.int64).astype("datetime64[us]")
    return times


def _of_digits(
    numbers: pd.Series, size: npt.NDArray[np.float64], digits: int, form: str
) -> Moments:
    """Return times (N,) of whole numbers with the digits of a date; NaT for other numbers.

    Args:
        numbers: (N,) the numbers.
        size: (N,) the numbers as floats.
        digits: number of digits.
        form: meaning of the digits, as a strptime format.
    """
    times = np.full(len(numbers), NO_TIME)
    first, last, short = _FIRST_YEAR, _LAST_YEAR, digits - 4
    if form.startswith("%y"):
        first, last, short = 10, 99, digits - 2
    rows = (size >= first * 10**short) & (size < (last + 1) * 10**short)
    rows &= np.where(rows, size, 0.5) % 1 == 0
    if rows.any():
        text = numbers[rows].astype("int64").astype(str)
        if form.endswith("%f"):
            text = text.str[:14] + "." + text.str[14:]
            form = "%Y%m%d%H%M%S.%f"
        times[rows] = pd.to_datetime(text, format=form, errors="coerce").to_numpy("datetime64[us]")
    return times
