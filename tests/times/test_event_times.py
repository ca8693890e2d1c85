"""Times are read where they can be read in one way only, and never guessed."""

import numpy as np
import pandas as pd
import pytest

from aemon.times.event_times import event_times


def read(values, timezone="UTC", **how):
    values = values if isinstance(values, list) else [values]
    return [str(time) for time in event_times(pd.Series(values), timezone, **how).astype("M8[s]")]


@pytest.mark.parametrize(
    "text",
    [
        "17.11.2025 13:00:00", "17/11/2025 13:00", "11/17/2025 01:00:00 PM", "11/17/25 1:00 p.m.",
        "17-Nov-2025 13:00:00", "17 November 2025, 13:00", "Nov 17, 2025 1:00:00 PM", "17Nov2025 13:00",
        "Mon, 17 Nov 2025 13:00:00 GMT", "17/Nov/2025:13:00:00 +0000", "2025-11-17 13:00:00 UTC",
        "2025-11-17 01:00 PM", "2025-11-17 13:00:00,000", "17.11.2025 14:00:00 +0100",
        "2025-11-17T14:00:00+01:00[Europe/Berlin]", "2025-11-17 14:00 Europe/Berlin",
        "20251117130000", "20251117 130000", "2025/11/17 13:00",
    ],
)  # fmt: skip
def test_a_text_with_one_meaning_is_read(text):
    assert read(text) == ["2025-11-17T13:00:00"]


@pytest.mark.parametrize(
    "text",
    ["05.11.2025 13:00", "17.11.25 13:00", "25-11-17", "31.31.2025", "2025-11-17 13:00 CET",
     "17.11.2025 25:00", "2025-11-17 24:01", "11/17/2025 13:00 PM", "17.11.2025 13", "soon",
     "1:00 PM", "202511171300", "1000000"],
)  # fmt: skip
def test_a_text_with_two_meanings_or_none_is_no_time(text):
    assert read(text) == ["NaT"]


def test_midnight_may_be_the_end_of_a_day():
    assert read(["2025-12-31 24:00:00", "31.12.2025 24:00"]) == ["2026-01-01T00:00:00"] * 2


def test_the_order_of_day_and_month_is_that_of_all_values():
    assert read(["05.11.2025", "13.11.2025"]) == ["2025-11-05T00:00:00", "2025-11-13T00:00:00"]
    assert read(["11/05/2025", "11/13/2025"]) == ["2025-11-05T00:00:00", "2025-11-13T00:00:00"]
    assert read(["13.11.2025", "11.13.2025"]) == ["NaT", "NaT"]
    assert read("05.11.2025", order="dmy") == ["2025-11-05T00:00:00"]
    assert read("11/13/2025", order="dmy") == ["NaT"]


def test_names_of_winter_and_summer_time_are_those_of_the_zone():
    texts = ["26.10.2025 02:30 CEST", "26.10.2025 02:30 CET"]
    assert read(texts, "Europe/Berlin") == ["2025-10-26T00:30:00", "2025-10-26T01:30:00"]
    assert read(texts, "America/New_York") == ["NaT", "NaT"]


@pytest.mark.parametrize(
    ("number", "time"),
    [
        (45978.5, "2025-11-17T12:00:00"), ("45978,5", "2025-11-17T12:00:00"),
        (2460997.0, "2025-11-17T12:00:00"), (739938.5, "2025-11-17T12:00:00"),
        (20251117, "2025-11-17T00:00:00"), (20251117130000, "2025-11-17T13:00:00"),
        (20251117130000123, "2025-11-17T13:00:00"), (1763384400, "2025-11-17T13:00:00"),
        (1763384400000, "2025-11-17T13:00:00"), (1763384400.0, "2025-11-17T13:00:00"),
    ],
)  # fmt: skip
def test_a_number_tells_by_its_size_what_it_counts(number, time):
    assert read(number) == [time]


@pytest.mark.parametrize(
    "number", [1e6, 86_400, 202511171300, 251117130000, 638989812000000000, 134078616000000000]
)
def test_a_number_of_1970_or_with_two_meanings_is_no_time(number):
    assert read(number) == ["NaT"]


def test_digits_and_days_are_by_the_clock_of_the_zone():
    numbers = [45978.5, 20251117120000, 1763384400]
    assert read(numbers, "Europe/Berlin")[:2] == ["2025-11-17T11:00:00"] * 2
    assert read(numbers, "Europe/Berlin")[2] == "2025-11-17T13:00:00"


@pytest.mark.parametrize(
    ("value", "form", "time"),
    [
        ("05.11.2025 13:00", "%d.%m.%Y %H:%M", "2025-11-05T13:00:00"),
        ("17.11.25 13:00:00,5", "%d.%m.%y %H:%M:%S,%f", "2025-11-17T13:00:00"),
        (202511171300, "%Y%m%d%H%M", "2025-11-17T13:00:00"),
        (251117130000, "%y%m%d%H%M%S", "2025-11-17T13:00:00"),
        ("14:00 17.11.2025 +0100", "%H:%M %d.%m.%Y %z", "2025-11-17T13:00:00"),
        (638989812000000000, "ticks", "2025-11-17T13:00:00"),
        ("638989812000000000", "ticks", "2025-11-17T13:00:00"),
        (60996.5, "mjd", "2025-11-17T12:00:00"), (45978.5, "excel", "2025-11-17T12:00:00"),
        (100_000, "unix", "1970-01-02T03:46:40"), ("1763384400000", "unix_ms", "2025-11-17T13:00:00"),
    ],
)  # fmt: skip
def test_a_format_is_the_one_way_to_read(value, form, time):
    assert read(value, form=form) == [time]
    assert read([value, "soon"], form=form) == [time, "NaT"]


def test_a_format_reads_beside_missing_values():
    times = event_times(pd.Series([20251117.0, np.nan]), "UTC", "%Y%m%d")
    assert list(np.isnat(times)) == [False, True]


def test_what_was_read_by_its_size_before_is_read_so_still():
    rng = np.random.default_rng(3)
    seconds = pd.Series(rng.integers(3e8, 4e9, 1000))
    for factor in (1, 1000, 1_000_000):
        times = event_times(seconds * factor, "UTC").astype("M8[s]").astype(np.int64)
        assert (times == seconds).all()
