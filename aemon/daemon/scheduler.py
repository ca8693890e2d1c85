"""When things run: APScheduler with every one of its silent defaults made explicit."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from queue import SimpleQueue
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import BasePoolExecutor, ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from aemon.clock import Clock
from aemon.config.values.cron import WEEKDAYS, Cron, longest_pause
from aemon.daemon.slots import Slots
from aemon.records import Job, Outcome

SCORING_AT_ONCE = 10  # runs that are not slow; more wait their turn
MOST_WAITING = 1000  # trainings of one monitor that wait for a worker; all but one were dropped
HEARTBEAT_SECONDS = 5
FIRST_PRUNE = timedelta(minutes=1)  # after the start: a daemon that keeps falling need not remove

_UTC = ZoneInfo("UTC")
_MISSED = {
    EVENT_JOB_MISSED: (Outcome.MISFIRED, "the tick came too late to run"),
    EVENT_JOB_MAX_INSTANCES: (Outcome.SKIPPED, "the run before is still going"),
}

Missed = Callable[[str, Job, Outcome, str], None]
"""Told (monitor, job, outcome, reason) of every tick that did not run."""


class _InSlots(BasePoolExecutor):  # type: ignore[misc]
    """APScheduler's way to run jobs in an executor of the standard library's kind."""

    def __init__(self, slots: Slots) -> None:
        super().__init__(slots)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a monitor's ticks need beside their schedule.

    Attributes:
        zone: of a cron schedule.
        jitter: runs begin up to so much later, by chance.
        grace: a later tick is not run any more; by default the longest pause of the schedule.
        delay: before the first tick.
    """

    zone: ZoneInfo = _UTC
    jitter: timedelta | None = None
    grace: timedelta | None = None
    delay: timedelta = timedelta(0)


class Scheduler:
    """Ticks every monitor's jobs; jobs are rebuilt from the configuration at each start.

    Args:
        missed: hears of every tick that did not run.
        trainings_at_once: begins no more trainings; further ones wait their turn.
        clock: the time, from which first ticks are counted.
    """

    def __init__(self, missed: Missed, trainings_at_once: int, clock: Clock) -> None:
        self._missed = missed
        self._clock = clock
        self.slots = Slots(SCORING_AT_ONCE, Job.SCORE.value)
        self._heard_of: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(1),
                Job.SCORE.value: _InSlots(self.slots),
                Job.TRAIN.value: ThreadPoolExecutor(trainings_at_once),
                Job.PRUNE.value: ThreadPoolExecutor(1),
            },
            # A late tick still runs, several late ones run once, and no job overlaps itself.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self, heartbeat: Callable[[], None]) -> None:
        """Start ticking; `heartbeat` is called every few seconds for as long as ticks happen."""
        threading.Thread(target=self._tell, name="missed-ticks", daemon=True).start()
        heartbeat()
        self._scheduler.add_job(heartbeat, IntervalTrigger(seconds=HEARTBEAT_SECONDS, timezone=UTC))
        self._scheduler.start()

    def every(
        self,
        schedule: timedelta | Cron,
        monitor: str,
        work: Callable[[], Any],
        timing: Timing | None = None,
    ) -> None:
        """Score a monitor now and then by its schedule.

        A tick that is later than the next one is stale: that one reads the same records.
        """
        timing = timing or Timing()
        now = self._clock()
        grace = timing.grace or longest_pause(schedule, timing.zone, now)
        self._scheduler.add_job(
            work,
            trigger_of(schedule, timing.zone, timing.jitter),
            id=_id(Job.SCORE, monitor),
            executor=Job.SCORE.value,
            next_run_time=now + timing.delay,
            misfire_grace_time=max(1, round(grace.total_seconds())),
        )

    def drop(self, monitor: str) -> None:
        """Score a monitor no more."""
        self._remove(_id(Job.SCORE, monitor))

    def drop_training(self, monitor: str) -> None:
        """Do not begin a training that was asked for; one handed to a worker's queue is there."""
        self._remove(_id(Job.TRAIN, monitor))

    def _remove(self, job: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(job)

    def once(self, monitor: str, work: Callable[[], Any]) -> None:
        """Train a monitor as soon as a worker is free.

        One that waits for a worker already, dropped or not, does not keep this one from waiting,
        too: APScheduler takes it for running.
        """
        self._scheduler.add_job(
            work,
            DateTrigger(timezone=UTC),
            id=_id(Job.TRAIN, monitor),
            executor=Job.TRAIN.value,
            max_instances=MOST_WAITING,
        )

    def prune(self, interval: timedelta, work: Callable[[], Any]) -> None:
        """Remove old results a minute from now and then at every interval."""
        self._scheduler.add_job(
            work,
            IntervalTrigger(seconds=interval.total_seconds(), timezone=UTC),
            id=Job.PRUNE.value,
            replace_existing=True,
            executor=Job.PRUNE.value,
            next_run_time=self._clock() + FIRST_PRUNE,
        )

    def start_over(self) -> None:
        """Tick every job now: the clock was set, and ticks planned by the old time may be far."""
        for job in self._scheduler.get_jobs():
            with suppress(JobLookupError):  # it was dropped, or has run, since it was listed
                job.modify(next_run_time=self._clock())

    def stop(self) -> None:
        """Tick no more; runs in hand go on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._heard_of.put(None)

    def _heard(self, event: JobEvent) -> None:
        # The scheduler's own thread must not wait for whatever the listener does: a store that
        # hangs would take all ticks with it.
        self._heard_of.put((event.job_id, event.code))

    def _tell(self) -> None:
        while (heard := self._heard_of.get()) is not None:
            job, _, monitor = heard[0].partition(":")
            if monitor:
                outcome, reason = _MISSED[heard[1]]
                self._missed(monitor, Job(job), outcome, reason)


def _id(job: Job, monitor: str) -> str:
    return f"{job}:{monitor}"


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
