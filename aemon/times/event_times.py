"""Converts a column of any type to event times in UTC."""

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.times.number_times import NO_TIME, Moments, times_by_name, times_of_numbers
from aemon.times.text_times import order_of, read_text
from aemon.times.time_format import NAMES, names_zone

# The range of times in nanoseconds of 64 bits. A time outside this range is a placeholder or an
# error, such as 9999-12-31. If aemon took such a time as the newest record, all real records would
# be older than the newest record.
EARLIEST = np.datetime64("1678-01-01", "us")
LATEST = np.datetime64("2262-01-01", "us")

_FIRST_YEAR, _LAST_YEAR = 1677, 2262
_FAR_AHEAD = np.datetime64("9999-12-31", "us")
_LONG_AGO = EARLIEST - np.timedelta64(1, "D")
_OFFSET = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
_DECIMAL_COMMA = r"^(-?\d+),(\d+)$"


def event_times(
    column: pd.Series, timezone: str, form: str | None = None, order: str | None = None
) -> npt.NDArray[np.datetime64]:
    """Return event times (N,) as datetime64[us] in UTC.

    NaT stands for a value that is not a time, or that has two possible meanings.

    - Text is read as ISO 8601, with or without an offset, and in the other forms of `read_text`.
    - The size of a number, or of a number in text, decides its meaning: see `times_of_numbers`.
    - A time without an offset is a time of the zone `timezone`. If a clock change of the zone
      repeats this time, the earlier moment is returned. If a clock change skips this time, the
      first moment after the gap is returned.

    Args:
        column: (N,) values of any type.
        timezone: zone of times without an offset.
        form: the only form of text and numbers to read, as in `time_format`; None for all forms.
        order: order of day, month and year in dates of three numbers, one of `ORDERS`. With None,
            the order that fits all dates of the column is used.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _in_utc(column, timezone)
    if pd.api.types.is_bool_dtype(column):
        return np.full(len(column), NO_TIME)
    if form is not None and pd.api.types.is_numeric_dtype(column):
        return _by_format(column, timezone, form)
    if pd.api.types.is_numeric_dtype(column):
        return _from_numbers(column, timezone)
    if isinstance(column.dtype, pd.StringDtype):
        return _from_text(column, timezone, form, order)
    return _from_objects(column.astype(object), timezone, form, order)


def _from_objects(
    column: pd.Series, timezone: str, form: str | None, order: str | None
) -> npt.NDArray[np.datetime64]:
    """Return times (N,) in UTC of a column that mixes text, numbers, dates and datetimes."""
    kinds = column.map(_time_kind).to_numpy(dtype=object)
    times = np.full(len(column), NO_TIME)
    for kind in set(kinds) - {""}:
        rows = kinds == kind
        part = column[rows]
        if kind == "text":
            times[rows] = _from_text(part.astype("string"), timezone, form, order)
        elif kind == "number":
            numbers = pd.to_numeric(part.astype("string"), errors="coerce")
            times[rows] = (
                _from_numbers(numbers, timezone)
                if form is None
                else _by_format(numbers, timezone, form)
            )
        else:
            parsed = pd.to_datetime(part, errors="coerce", utc=kind == "aware")
            times[rows] = _in_utc(parsed, timezone)
    return times


def _time_kind(value: object) -> str:
    match value:
        case str():
            return "text"
        case bool() | np.bool_():
            return ""
        case int() | float() | Decimal() | np.number():
            return "number"
        case datetime():
            return "" if pd.isna(value) else "naive" if value.tzinfo is None else "aware"
        case date() | np.datetime64():
            return "naive"
        case _:
            return ""


def _from_text(
    column: pd.Series, timezone: str, form: str | None, order: str | None
) -> npt.NDArray[np.datetime64]:
    text = column.str.strip()
    if form is not None:
        return _by_format(text, timezone, form)
    times = _from_iso(text, timezone)
    left = np.isnat(times) & text.notna().to_numpy()
    if left.any():
        times[left] = _from_numbers(_numbers_of(text[left]), timezone)
        left &= np.isnat(times)
    if left.any():
        times[left] = _from_words(text[left], timezone, order)
    return times


def _from_iso(text: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    # Texts must begin with a digit: pandas reads words such as "now" as the current time.
    text = text.where(text.str[:1].str.isdigit() == True)  # noqa: E712 -- missing counts as False
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    if timezone == "UTC":
        return _in_utc(parsed, timezone)
    aware = text.str.contains(_OFFSET).fillna(value=False).to_numpy(dtype=bool)
    times = np.full(len(text), NO_TIME)
    times[aware] = _in_utc(parsed[aware], timezone)
    times[~aware] = _in_utc(parsed[~aware].dt.tz_localize(None), timezone)
    return times


def _from_words(text: pd.Series, timezone: str, order: str | None) -> npt.NDArray[np.datetime64]:
    """Return times (N,) in UTC of texts that are neither ISO 8601 nor numbers."""
    texts = text.tolist()
    order = order or order_of(texts)[0]
    read = pd.Series([read_text(item, order, timezone) for item in texts], dtype=object)
    return _from_objects(read, timezone, None, None)


def _numbers_of(text: pd.Series) -> pd.Series:
    """Return the numbers in texts with a decimal point or a decimal comma; NaN for other texts."""
    plain = text.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return pd.to_numeric(plain.where(plain.str[:1].str.contains(r"[-+.\d]")), errors="coerce")


def _by_format(column: pd.Series, timezone: str, form: str) -> npt.NDArray[np.datetime64]:
    """Return times (N,) in UTC of texts or numbers that all have the given form."""
    if form in NAMES:
        numbers = _numbers_of(column) if isinstance(column.dtype, pd.StringDtype) else column
        return _together(*times_by_name(numbers, form), timezone)
    if pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all()):
        column = column.astype("Int64")
    text = column.astype("string").str.strip()
    parsed = pd.to_datetime(text, format=form, errors="coerce", utc=names_zone(form))
    return _in_utc(pd.Series(parsed), timezone)


def _from_numbers(numbers: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    return _together(*times_of_numbers(numbers), timezone)


def _together(fixed: Moments, local: Moments, timezone: str) -> npt.NDArray[np.datetime64]:
    """Return one array (N,) of times in UTC from times in UTC and times by the wall clock.

    Args:
        fixed: (N,) times in UTC, changed in place.
        local: (N,) times by the wall clock of the zone `timezone`; NaT where `fixed` has the time.
        timezone: the zone.
    """
    is_local = ~np.isnat(local)
    if is_local.any():
        fixed[is_local] = _in_utc(pd.Series(local[is_local]), timezone)
    return fixed


def _in_utc(column: pd.Series, timezone: str) -> npt.NDArray[np.datetime64]:
    """Return a datetime column as datetime64[us] in UTC.

    A time before the year 1677 becomes `_LONG_AGO`. A time after the year 2262 becomes
    `_FAR_AHEAD`.
    """
    # The conversion of the last day of year 9999 fails. No zone changes a time by a whole year.
    long_ago = (column.dt.year < _FIRST_YEAR).to_numpy(dtype=bool)
    far_ahead = (column.dt.year > _LAST_YEAR).to_numpy(dtype=bool)
    column = column.mask(long_ago | far_ahead).dt.as_unit("us")
    if column.dt.tz is None and timezone != "UTC":
        earlier = np.ones(len(column), dtype=bool)
        column = column.dt.tz_localize(timezone, ambiguous=earlier, nonexistent="shift_forward")
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times = column.to_numpy(dtype="datetime64[us]", copy=True)
    times[long_ago] = _LONG_AGO
    times[far_ahead] = _FAR_AHEAD
    return times
