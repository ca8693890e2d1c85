"""APScheduler triggers that compute the next tick of a cron schedule or of a pause."""

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from aemon.config.values.cron import LONGEST_LOOK, Cron
from aemon.logs import Action, log

_CATCH_UP = timedelta(hours=1)  # older missed ticks are left out: only the last missed tick runs
_TRIED_AGAIN = timedelta(minutes=1)  # pause after a failure of a trigger
_MOMENT = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class CronTicks(BaseTrigger):  # type: ignore[misc]
    """A trigger with ticks by a cron schedule.

    The ticks are counted in UTC, so that no tick is lost when summer time begins or ends.

    Args:
        schedule: the cron schedule.
        zone: the time zone of the schedule.
        jitter: longest random delay of each tick, in seconds; None for no delay.
    """

    def __init__(self, schedule: Cron, zone: ZoneInfo, jitter: float | None) -> None:
        self._schedule, self._zone, self._jitter = schedule, zone, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first tick after the previous tick; without a previous tick, after `now`."""
        if previous is None:
            found = self._first(now)
        else:
            found = self._first(max(previous + _MOMENT, now - _CATCH_UP))
            if found is None or found > now:
                found = self._first(previous + _MOMENT)
        moment: datetime | None = self._apply_jitter(found, self._jitter, now)
        return moment

    def _first(self, since: datetime) -> datetime | None:
        return next(self._schedule.moments(since, since + LONGEST_LOOK, self._zone), None)


class PauseTicks(BaseTrigger):  # type: ignore[misc]
    """A trigger with ticks at equal pauses.

    APScheduler's own trigger lists every missed tick. After a clock was set ahead by years, this
    list takes all memory. Only the last missed tick runs, so this trigger skips earlier ticks.

    Args:
        pause: the time between two ticks.
        jitter: longest random delay of each tick, in seconds; None for no delay.
    """

    def __init__(self, pause: timedelta, jitter: float | None = None) -> None:
        self._pause, self._jitter = pause, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the tick after the previous tick; if ticks were missed, the last missed tick."""
        if previous is None:
            found = now + self._pause
        else:
            found = previous + max(1, (now - previous) // self._pause) * self._pause
        moment: datetime | None = self._apply_jitter(found, self._jitter, now)
        return moment


class SteadyTicks(BaseTrigger):  # type: ignore[misc]
    """A wrapper around a trigger, so that its errors do not stop the ticks of all monitors."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next tick of the trigger; a minute from now if the trigger fails."""
        try:
            moment: datetime | None = self._trigger.get_next_fire_time(previous, now)
        except Exception as error:  # noqa: BLE001 -- the scheduler's thread must not end
            what = f"a schedule fails, and is tried again: {error!r}"
            log(logger, logging.ERROR, Action.SCHEDULER_FAILED, what)
            return now + _TRIED_AGAIN
        return moment


def trigger_of(
    schedule: timedelta | Cron, zone: ZoneInfo, jitter: timedelta | None = None
) -> BaseTrigger:
    """Return the trigger of a schedule.

    Args:
        schedule: pause between two ticks, or cron schedule.
        zone: the time zone of a cron schedule.
        jitter: longest random delay of each tick; None for no delay.
    """
    seconds = jitter.total_seconds() if jitter else None
    trigger: Any
    if isinstance(schedule, timedelta):
        trigger = PauseTicks(schedule, seconds)
    else:
        trigger = CronTicks(schedule, zone, seconds)
    return SteadyTicks(trigger)
