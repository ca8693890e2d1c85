"""APScheduler triggers for the next tick of a schedule: aemon's own cron moments, and pauses."""

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from aemon.config.values.cron import LONGEST_LOOK, Cron
from aemon.logs import Action, log

_CATCH_UP = timedelta(hours=1)  # only the last missed moment runs: older moments are left out
_TRIED_AGAIN = timedelta(minutes=1)  # after a trigger failed
_MOMENT = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class CronTicks(BaseTrigger):  # type: ignore[misc]
    """Ticks at the moments of a cron schedule, counted in UTC: no clock change hides a tick.

    Args:
        schedule: the cron schedule.
        zone: the time zone in which the schedule is read.
        jitter: each tick is delayed at random by at most this many seconds.
    """

    def __init__(self, schedule: Cron, zone: ZoneInfo, jitter: float | None) -> None:
        self._schedule, self._zone, self._jitter = schedule, zone, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first moment after the previous tick; without a previous tick, after now."""
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
    """Ticks after every pause.

    APScheduler's own trigger lists every missed tick. After a clock was set ahead by years, this
    list takes all memory. Only the last missed tick runs, so the others are left out here.

    Args:
        pause: the time between two ticks.
        jitter: each tick is delayed at random by at most this many seconds.
    """

    def __init__(self, pause: timedelta, jitter: float | None = None) -> None:
        self._pause, self._jitter = pause, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the tick after the previous one; if several were missed, the last of these."""
        if previous is None:
            found = now + self._pause
        else:
            found = previous + max(1, (now - previous) // self._pause) * self._pause
        moment: datetime | None = self._apply_jitter(found, self._jitter, now)
        return moment


class SteadyTicks(BaseTrigger):  # type: ignore[misc]
    """A wrapper of another trigger, so that its errors do not stop the ticks of all monitors."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next tick of the trigger, or a minute from now if it fails."""
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
    """Return the trigger of a schedule."""
    seconds = jitter.total_seconds() if jitter else None
    trigger: Any
    if isinstance(schedule, timedelta):
        trigger = PauseTicks(schedule, seconds)
    else:
        trigger = CronTicks(schedule, zone, seconds)
    return SteadyTicks(trigger)
