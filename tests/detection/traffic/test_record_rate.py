"""Many more or many fewer records than any stretch of the training had."""

import numpy as np
import pytest

from aemon.detection.traffic.record_rate import Counted, UsualRate, learn_rate, usual_from

START = np.datetime64("2026-01-01T00:00:00", "us")
HOUR = 3600


def at(seconds):
    return START + (np.asarray(seconds) * 1e6).astype("timedelta64[us]")


def every(pause, first, last):
    return at(np.arange(first * HOUR, last * HOUR, pause))


def varying(first, last):
    """Twice as many records in every other hour."""
    return np.concatenate([every(240 if h % 2 else 120, h, h + 1) for h in range(first, last)])


def test_a_clock_needs_no_days():
    usual, _ = learn_rate(every(1, 0, 2))
    assert usual == UsualRate(seconds=60, least=60, most=60)


def test_the_shortest_stretch_with_enough_records_counts():
    usual, counted = learn_rate(every(240, 0, 72))
    assert usual == UsualRate(seconds=HOUR, least=15, most=15)
    assert counted == Counted(stretch=usual_stretch(71), records=15)
    assert learn_rate(every(1, 0, 49))[0].seconds == 60
    assert usual_from(usual.as_json()) == usual


def usual_stretch(hour):
    return int(START.astype(np.int64) // (HOUR * 1_000_000)) + hour


@pytest.mark.parametrize("times", [varying(0, 24), every(HOUR, 0, 60), at([]), every(1, 0, 0.1)])
def test_short_or_sparse_trainings_show_no_range(times):
    assert learn_rate(times) is None


def test_what_is_more_and_what_is_fewer():
    usual, now = learn_rate(every(240, 0, 72))
    told = []
    for hour, pause in enumerate([240, 240, 60, 60, 240, 1800, 240], start=72):
        now = Counted.from_json(now.as_json()).after(every(pause, hour, hour + 1), usual)
        told.append(now.summary(usual))
    # An hour is judged once it is over: 60 records are more, 2 are fewer
    assert [bool(one) for one in told] == [False, False, False, True, True, False, True]
    assert (
        told[3] == "60 records in 1h, where 15 came in training; unusual since 2026-01-04 02:00 UTC"
    )
    assert told[4].endswith("since 2026-01-04 02:00 UTC")
    assert told[6].startswith("2 records in 1h")


def test_an_hour_without_records_is_told_once_others_come():
    usual, now = learn_rate(every(240, 0, 72))
    now = now.after(every(240, 72, 73), usual).after(every(240, 75, 76), usual)
    assert now.summary(usual).startswith("0 records in 1h")
    assert now.after(every(240, 76, 77), usual).summary(usual) == ""


def test_a_pause_of_the_source_is_no_rate():
    days = [every(240, 24 * day + 6, 24 * day + 20) for day in range(4)]
    usual, now = learn_rate(np.concatenate(days))
    assert usual.least == 15
    assert now.after(every(240, 24 * 4 + 6, 24 * 4 + 20), usual).summary(usual) == ""


def test_late_records_and_a_stretch_that_began_before_say_nothing():
    usual, now = learn_rate(every(240, 0, 72))
    later = now.after(every(60, 40, 41), usual)
    assert later == now
    fresh = Counted().after(every(240, 72.9, 73), usual).after(every(240, 73, 74), usual)
    assert fresh.summary(usual) == ""


def test_chance_is_no_change():
    usual = UsualRate(seconds=HOUR, least=4, most=6)
    assert not usual.is_unusual(0)
    assert not usual.is_unusual(14)
    assert usual.is_unusual(40)


@pytest.mark.parametrize(
    "junk", [None, {}, {"stretch": "x", "records": 0, "unusual": None, "since": None, "partial": 0}]
)
def test_junk_is_no_count(junk):
    assert Counted.from_json(junk) == Counted()
