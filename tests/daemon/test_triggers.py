"""APScheduler ticks when cron would."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from aemon.config.values.cron import Cron
from aemon.daemon.scheduler import trigger_of

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
