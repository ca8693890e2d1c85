"""What a look at records tells of their columns."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from aemon.sources.guesses import carry_no_zone, guess_entity, guess_pause, guess_time, monitor_name

TIMES = pd.date_range("2026-03-01", periods=100, freq="15s")


def table(**columns):
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ({"a": range(100), "ts": TIMES.astype(str)}, "ts"),
        ({"installed": TIMES.astype(str), "measured_at": TIMES.astype(str)}, "measured_at"),
        ({"flow": np.linspace(1, 2, 100), "epoch": range(1_772_000_000, 1_772_000_100)}, "epoch"),
        ({"note": ["x"] * 100, "when": TIMES.strftime("%d.%m.%Y %H:%M:%S").str.replace("01.03", "21.03")}, "when"),
        ({"Date": TIMES.strftime("%Y-%m-%d"), "Time": TIMES.strftime("%H:%M:%S")}, ["Date", "Time"]),
    ],
)  # fmt: skip
def test_the_column_of_times_is_found(columns, time):
    assert guess_time(table(**columns)).name == time


@pytest.mark.parametrize(
    "columns",
    [
        {"count": range(1_700_000_000, 1_700_000_100)},  # might be times, and nothing says so
        {"time": ["soon"] * 100},
        {"state": ["on", "off"] * 50, "flow": range(100)},
    ],
)
def test_what_is_no_time_is_not_taken_for_one(columns):
    assert guess_time(table(**columns)) is None


def test_records_of_one_time_belong_to_different_things():
    times = np.repeat(TIMES.to_numpy(), 3)
    sample = table(ts=times, what=["a", "b", "c"] * 100, state=["on", "off"] * 150)
    assert guess_entity(sample, times, ["ts"])[0] == "what"


def test_else_the_name_tells_the_entity_and_a_category_is_none():
    sample = table(ts=TIMES, state=["on", "off"] * 50, pump_id=[1, 2, 3, 4] * 25)
    assert guess_entity(sample, TIMES.to_numpy(), ["ts"])[0] == "pump_id"
    assert guess_entity(sample[["ts", "state"]], TIMES.to_numpy(), ["ts"]) is None


def test_records_are_scored_about_as_often_as_they_come():
    assert guess_pause(TIMES.to_numpy()) == (timedelta(seconds=30), "records come every 15s")
    assert guess_pause(TIMES.to_numpy()[:1])[0] == timedelta(minutes=1)


def test_a_monitors_name_is_plain_and_its_own():
    assert monitor_name("Größe (m)") == "Gr_e_m"
    assert monitor_name("a", ["a", "a_2"]) == "a_3"
    assert monitor_name("???") == "records"


def test_times_with_a_zone_are_known():
    assert carry_no_zone(pd.Series(["2026-03-01 10:00:00"]))
    assert not carry_no_zone(pd.Series(["2026-03-01T10:00:00+01:00"]))
    assert not carry_no_zone(pd.Series(["2026-03-01T10:00:00Z"]))
    assert not carry_no_zone(pd.Series(TIMES.tz_localize("UTC")))
