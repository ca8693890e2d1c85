"""Five-field cron as cron reads it, and its moments through the shifts of a clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aemon.config.values.cron import Cron, is_due, longest_pause

BERLIN, GMT = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
WEDNESDAY = datetime(2026, 11, 25, tzinfo=UTC)


def moments(text, days=7, first=WEDNESDAY, zone=GMT):
    return list(Cron.parse(text).moments(first, first + timedelta(days=days), zone))


@pytest.mark.parametrize(
    ("text", "weekday"),
    [("0 6 * * 1", "Mon"), ("0 6 * * 0", "Sun"), ("0 6 * * 7", "Sun"), ("0 6 * * sat", "Sat")],
)
def test_weekday_one_is_monday(text, weekday):
    (moment,) = moments(text)
    assert f"{moment:%a %H:%M}" == f"{weekday} 06:00"


@pytest.mark.parametrize(
    ("text", "in_a_week"),
    [
        ("*/5 * * * *", 7 * 288 + 1), ("0 8-18/2 * * 1-5", 5 * 6), ("30 2 * * *", 7),
        ("5/20 0 * * *", 7 * 3), ("@hourly", 7 * 24 + 1), ("0 0 1 * *", 1), ("0 0 29 2 *", 0),
    ],
)  # fmt: skip
def test_it_comes_as_often_as_cron_says(text, in_a_week):
    assert len(moments(text)) == in_a_week


def test_of_a_day_and_a_weekday_either_suffices():
    found = moments("0 0 26 * 5", days=3)
    assert [f"{moment:%d}" for moment in found] == ["26", "27"]


def test_a_moment_the_spring_shift_skips_comes_an_hour_later_and_one_in_autumn_comes_once():
    spring, autumn = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)
    (skipped,) = moments("30 2 * * *", 0.9, spring - timedelta(hours=1), BERLIN)
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    (repeated,) = moments("30 2 * * *", 0.9, autumn, BERLIN)
    assert repeated == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "4 fields"), ("60 * * * *", "0 to 59"), ("* * * * mo", "sun, mon"),
        ("*/0 * * * *", "step"), ("* 5-3 * * *", "0 to 23"), ("0 0 31 2 *", "never"),
        ("a * * * *", "minute 'a' is not a number"), ("* * * * 8", "0 to 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text, problem):
    with pytest.raises(ValueError, match=problem):
        Cron.parse(text)


def test_the_longest_pause_is_that_over_the_weekend():
    pause = longest_pause(Cron.parse("0 8-17 * * 1-5"), ZoneInfo("UTC"), WEDNESDAY)
    assert pause == timedelta(days=2, hours=15)
    assert longest_pause(timedelta(minutes=5), BERLIN, WEDNESDAY) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("schedule", "hours", "due"),
    [
        (timedelta(hours=5), 4.9, False), (timedelta(hours=5), 5, True),
        (Cron.parse("0 6 * * *"), 5.9, False), (Cron.parse("0 6 * * *"), 6, True),
    ],
)  # fmt: skip
def test_what_was_done_is_due_again_by_its_schedule(schedule, hours, due):
    now = WEDNESDAY + timedelta(hours=hours)
    assert is_due(schedule, WEDNESDAY, now, ZoneInfo("UTC")) is due
