"""When a schedule ticks next: the moments of cron as aemon itself reads them, and pauses."""

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from aemon.config.values.cron import LONGEST_LOOK, Cron
from aemon.logs import Action, log

_CATCH_UP = timedelta(hours=1)  # of missed moments only the last runs: older ones are passed over
_TRIED_AGAIN = timedelta(minutes=1)  # after a trigger failed
_MOMENT = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class CronTicks(BaseTrigger):  # type: ignore[misc]
    """Ticks at the moments of a cron schedule, counted in UTC: no clock change hides one.

    Args:
        schedule: when.
        zone: whose wall clock it goes by.
        jitter: a tick comes up to so many seconds later or earlier, by chance.
    """

    def __init__(self, schedule: Cron, zone: ZoneInfo, jitter: float | None) -> None:
        self._schedule, self._zone, self._jitter = schedule, zone, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first moment after the previous tick, or from now on if there was none."""
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

    APScheduler's own trigger lists every tick that was missed: after a clock was set ahead by years,
    a list that takes all memory. Only the last of them runs, so the others are passed over here.

    Args:
        pause: between two ticks.
        jitter: a tick comes up to so many seconds later or earlier, by chance.
    """

    def __init__(self, pause: timedelta, jitter: float | None = None) -> None:
        self._pause, self._jitter = pause, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the tick after the previous one; of ticks that are missed, the last."""
        if previous is None:
            found = now + self._pause
        else:
            found = previous + max(1, (now - previous) // self._pause) * self._pause
        moment: datetime | None = self._apply_jitter(found, self._jitter, now)
        return moment


class SteadyTicks(BaseTrigger):  # type: ignore[misc]
    """Another trigger, whose failure costs its own ticks and not those of all monitors."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next tick of the trigger, or a minute from now if it fails."""
        try:
            moment: datetime | None = self._trigger.get_next_fire_time(previous, now)
        except Exception as error:  # noqa: BLE001 -- the scheduler's thread must live on
            what = f"a schedule fails, and is tried again: {error!r}"
            log(logger, logging.ERROR, Action.SCHEDULER_FAILED, what)
            return now + _TRIED_AGAIN
        return moment


def trigger_of(
    schedule: timedelta | Cron, zone: ZoneInfo, jitter: timedelta | None = None
) -> BaseTrigger:
    """Return what ticks by a schedule."""
    seconds = jitter.total_seconds() if jitter else None
    trigger: Any
    if isinstance(schedule, timedelta):
        trigger = PauseTicks(schedule, seconds)
    else:
        trigger = CronTicks(schedule, zone, seconds)
    return SteadyTicks(trigger)
