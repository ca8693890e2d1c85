"""Schedules as APScheduler's triggers, which read cron's fields in a way of their own."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from aemon.config.cron import WEEKDAYS, Cron


def trigger_of(
    schedule: timedelta | Cron, zone: ZoneInfo, jitter: timedelta | None = None
) -> BaseTrigger:
    """What ticks by a schedule.

    APScheduler counts weekdays from Monday as 0, so cron's numbers are told to it as names; and
    it wants day and weekday both to fit where cron takes either.
    """
    seconds = jitter.total_seconds() if jitter else None
    if isinstance(schedule, timedelta):
        return IntervalTrigger(seconds=schedule.total_seconds(), timezone=UTC, jitter=seconds)
    weekdays = ",".join(WEEKDAYS[number] for number in sorted(schedule.weekdays))
    days = _listed(schedule.days)
    ways = [(days, None), (None, weekdays)] if schedule.either_day else [(days, weekdays)]
    triggers = [
        CronTrigger(
            minute=_listed(schedule.minutes),
            hour=_listed(schedule.hours),
            day=day,
            month=_listed(schedule.months),
            day_of_week=weekday,
            timezone=zone,
            jitter=seconds,
        )
        for day, weekday in ways
    ]
    return triggers[0] if len(triggers) == 1 else OrTrigger(triggers)


def _listed(numbers: frozenset[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))
