"""When things run: APScheduler with every one of its silent defaults made explicit."""

import logging
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from queue import SimpleQueue
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

from aemon.clock import Clock
from aemon.config.values.cron import Cron, longest_pause
from aemon.daemon.slots import Slots
from aemon.daemon.triggers import trigger_of
from aemon.logs import Action, log
from aemon.records import Job, Outcome
from aemon.threads import first_dead, start_thread, thread_errors

SCORING_AT_ONCE = 10  # runs that are not slow; more wait their turn
MOST_WAITING = 1000  # trainings of one monitor that wait for a worker; all but one were dropped
HEARTBEAT_SECONDS = 5
HURRY = timedelta(milliseconds=500)  # before the next step of a backlog
FIRST_PRUNE = timedelta(minutes=1)  # after the start: a daemon that keeps falling need not remove

_UTC = ZoneInfo("UTC")
_MISSED = {
    EVENT_JOB_MISSED: (Outcome.MISFIRED, "the tick came too late to run"),
    EVENT_JOB_MAX_INSTANCES: (Outcome.SKIPPED, "the run before is still going"),
}

Missed = Callable[[str, Job, Outcome, str], None]
"""Told (monitor, job, outcome, reason) of every tick that did not run."""


_TRIED_AGAIN_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc]
    """A scheduler whose thread outlives whatever its jobs or their triggers do."""

    def _process_jobs(self) -> float | None:
        try:
            seconds: float | None = super()._process_jobs()
        except Exception as error:  # noqa: BLE001 -- all monitors would stand still
            what = f"ticks are tried again in {_TRIED_AGAIN_SECONDS:g} s: {error!r}"
            log(_logger, logging.ERROR, Action.SCHEDULER_FAILED, what)
            return _TRIED_AGAIN_SECONDS
        return seconds

    @property
    def threads(self) -> list[threading.Thread]:
        """Return its thread; none before the start and after the end."""
        return [self._thread] if self.running and self._thread is not None else []


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

    Raises at construction:
        ResourceError: the machine has no threads to give.

    Args:
        missed: hears of every tick that did not run.
        trainings_at_once: begins no more trainings; further ones wait their turn.
        clock: the time, from which first ticks are counted.
    """

    def __init__(self, missed: Missed, trainings_at_once: int, clock: Clock) -> None:
        self._missed = missed
        self._clock = clock
        self.slots = Slots(SCORING_AT_ONCE, Job.SCORE.value)
        self._others = [
            Slots(1, "heartbeat", math.inf),
            Slots(trainings_at_once, Job.TRAIN.value, math.inf),
            Slots(1, Job.PRUNE.value, math.inf),
        ]
        self._teller: threading.Thread | None = None
        self._heard_of: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._scheduler = _SteadyScheduler(
            timezone=UTC,
            executors={
                Job.SCORE.value: _InSlots(self.slots),
                "default": _InSlots(self._others[0]),
                Job.TRAIN.value: _InSlots(self._others[1]),
                Job.PRUNE.value: _InSlots(self._others[2]),
            },
            # A late tick still runs, several late ones run once, and no job overlaps itself.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self, heartbeat: Callable[[], None]) -> None:
        """Start ticking; `heartbeat` is called every few seconds for as long as ticks happen.

        Raises:
            ResourceError: the machine has no threads to give.
        """
        self._teller = start_thread(self._tell, "missed-ticks")
        heartbeat()
        every = timedelta(seconds=HEARTBEAT_SECONDS)
        self._scheduler.add_job(heartbeat, trigger_of(every, _UTC))
        with thread_errors("the scheduler"):
            self._scheduler.start()

    @property
    def threads(self) -> list[threading.Thread]:
        """Return the threads without which ticks do not happen, or are not counted."""
        own = [one.thread for one in (self.slots, *self._others)]
        told = [self._teller] if self._teller is not None else []
        return [*self._scheduler.threads, *own, *told]

    @property
    def alive(self) -> bool:
        """Whether there are ticks: False once one of its threads has died."""
        return not first_dead(self.threads)

    def short_seconds(self) -> float:
        """Return for how long no thread could be started for what is due; 0 if threads are there."""
        return max(one.short_seconds() for one in (self.slots, *self._others))

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

    def hurry(self, monitor: str) -> None:
        """Score a monitor in a moment, not at its next tick; what has to end before can end by then."""
        soon = self._clock() + HURRY
        job = self._scheduler.get_job(_id(Job.SCORE, monitor))
        if job is None or (job.next_run_time is not None and job.next_run_time <= soon):
            return
        with suppress(JobLookupError):  # it was dropped meanwhile
            job.modify(next_run_time=soon)

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
            trigger_of(interval, _UTC),
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
                try:
                    self._missed(monitor, Job(job), outcome, reason)
                except Exception as error:  # noqa: BLE001 -- later ticks are to be counted, too
                    what = f"a missed tick of {monitor} is not in the ledger: {error!r}"
                    log(_logger, logging.ERROR, Action.SCHEDULER_FAILED, what)


def _id(job: Job, monitor: str) -> str:
    return f"{job}:{monitor}"
