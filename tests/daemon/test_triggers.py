"""APScheduler ticks when cron would."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from aemon.config.values.cron import Cron
from aemon.daemon.triggers import trigger_of

FIRST = datetime(2026, 3, 20, tzinfo=UTC)


def fires(trigger, days):
    now, found = FIRST, []
    while True:
        now = trigger.get_next_fire_time(found[-1] if found else None, now)
        if now is None or now > FIRST + timedelta(days=days):
            return [moment.astimezone(UTC) for moment in found]
        found.append(now)
        now += timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize(
    "text", ["*/45 * * * *", "0 8-18/2 * * 1-5", "0 6 * * 0", "0 6 * * 7", "0 0 1 * 3", "5 4 * * *"]
)
def test_it_ticks_at_the_moments_of_cron(text, zone):
    """Given three weeks with a shift of the clock in them."""
    cron, zone = Cron.parse(text), ZoneInfo(zone)
    expected = list(cron.moments(FIRST, FIRST + timedelta(days=21), zone))
    assert fires(trigger_of(cron, zone), 21) == expected


def test_apschedulers_own_reading_of_cron_is_another():
    """Why weekdays are told to it by name."""
    tuesday = CronTrigger.from_crontab("0 6 * * 1", timezone=UTC)
    assert {f"{moment:%a}" for moment in fires(tuesday, 21)} == {"Tue"}


def test_jitter_moves_each_tick_and_keeps_the_pace():
    trigger = trigger_of(timedelta(minutes=1), ZoneInfo("UTC"), timedelta(seconds=20))
    found = [datetime.now(UTC)]
    for _ in range(60):
        found.append(trigger.get_next_fire_time(found[-1], found[-1]))
    gaps = {round((after - before).total_seconds()) for before, after in pairwise(found)}
    assert len(gaps) > 5
    assert all(20 <= gap <= 100 for gap in gaps)


@pytest.mark.parametrize(
    ("text", "zone", "planned", "expected"),
    [
        # Each was planned before the clocks changed: Nuuk at midnight, Cairo skips midnight.
        ("0 0 * * *", "America/Nuuk", "2026-03-28T02:00", "2026-03-29T01:00"),
        ("0 0 * * *", "Africa/Cairo", "2026-04-22T22:00", "2026-04-23T22:00"),
        ("30 0 * * *", "Africa/Cairo", "2026-04-22T22:30", "2026-04-23T22:30"),
        ("0 0 * * 1", "Europe/Berlin", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("30 23 * * 6", "America/Nuuk", "2026-03-22T01:30", "2026-03-29T01:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("30 0 * * *", "America/Havana", "2026-11-01T04:30", "2026-11-02T05:30"),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T01:00"),
    ],
)
def test_a_tick_planned_before_a_clock_change_comes_once(text, zone, planned, expected):
    trigger = trigger_of(Cron.parse(text), ZoneInfo(zone))
    before = datetime.fromisoformat(planned).replace(tzinfo=UTC)
    assert trigger.get_next_fire_time(before - timedelta(minutes=1), before) == before
    assert f"{trigger.get_next_fire_time(before, before):%Y-%m-%dT%H:%M}" == expected


def test_after_a_long_sleep_the_last_missed_tick_is_found_soon():
    trigger = trigger_of(Cron.parse("* * * * *"), ZoneInfo("UTC"))
    tick, now, found = FIRST, FIRST + timedelta(days=30), 0
    while tick <= now:
        last, tick, found = tick, trigger.get_next_fire_time(tick, now), found + 1
    assert (last, found < 100) == (now, True)
    weekly = trigger_of(Cron.parse("0 0 * * 1"), ZoneInfo("UTC"))
    monday = datetime(2026, 3, 23, tzinfo=UTC)
    assert (
        weekly.get_next_fire_time(monday - timedelta(days=7), monday + timedelta(days=3)) == monday
    )


def test_a_schedule_that_fails_is_tried_again():
    far = timedelta(days=999_999_999)
    trigger = trigger_of(timedelta(minutes=1), ZoneInfo("UTC"), far)
    moments = {trigger.get_next_fire_time(FIRST, FIRST) for _ in range(20)}
    assert FIRST + timedelta(minutes=1) in moments


@pytest.mark.parametrize("years", [1 / 365 / 24, 6, 900])
def test_of_ticks_that_a_clock_set_ahead_has_missed_only_the_last_is_listed(years):
    trigger = trigger_of(timedelta(milliseconds=300), ZoneInfo("UTC"))
    now = FIRST + timedelta(days=365 * years, microseconds=123_456)
    last = trigger.get_next_fire_time(FIRST, now)
    assert now - timedelta(milliseconds=300) < last <= now
    following = trigger.get_next_fire_time(last, now)
    assert following - last == timedelta(milliseconds=300)
    assert following > now


def test_without_a_tick_before_the_first_comes_after_a_pause():
    trigger = trigger_of(timedelta(minutes=1), ZoneInfo("UTC"))
    assert trigger.get_next_fire_time(None, FIRST) == FIRST + timedelta(minutes=1)
