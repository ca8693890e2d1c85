"""The scheduler of jobs, based on APScheduler; every default of APScheduler is set explicitly."""

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

SCORING_AT_ONCE = 10  # scoring runs that are not slow; further runs wait
MOST_WAITING = 1000  # waiting trainings of one monitor, including dropped trainings
HEARTBEAT_SECONDS = 5
HURRY = timedelta(milliseconds=500)  # pause before the next step of a backlog
FIRST_PRUNE = timedelta(minutes=1)  # after the start: a daemon that ends at once removes nothing

_UTC = ZoneInfo("UTC")
_MISSED = {
    EVENT_JOB_MISSED: (Outcome.MISFIRED, "the tick came too late to run"),
    EVENT_JOB_MAX_INSTANCES: (Outcome.SKIPPED, "the previous run has not ended"),
}

Missed = Callable[[str, Job, Outcome, str], None]
"""Function that is called with (monitor, job, outcome, reason) for every tick that did not run."""


_TRIED_AGAIN_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc]
    """A scheduler whose thread survives every error of its jobs and their triggers."""

    def _process_jobs(self) -> float | None:
        try:
            seconds: float | None = super()._process_jobs()
        except Exception as error:  # noqa: BLE001 -- else no monitor would run any more
            what = f"ticks are tried again in {_TRIED_AGAIN_SECONDS:g} s: {error!r}"
            log(_logger, logging.ERROR, Action.SCHEDULER_FAILED, what)
            return _TRIED_AGAIN_SECONDS
        return seconds

    @property
    def threads(self) -> list[threading.Thread]:
        """The scheduler's thread; none before the start and after the end."""
        return [self._thread] if self.running and self._thread is not None else []


class _InSlots(BasePoolExecutor):  # type: ignore[misc]
    """An APScheduler executor that runs jobs in slots."""

    def __init__(self, slots: Slots) -> None:
        super().__init__(slots)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The settings of a monitor's ticks, in addition to the schedule.

    Attributes:
        zone: the time zone of a cron schedule.
        jitter: each tick is delayed by a random time of at most this length; None for no delay.
        grace: a tick that is late by more than this time does not run; None for the longest pause
            of the schedule.
        delay: the time before the first tick.
    """

    zone: ZoneInfo = _UTC
    jitter: timedelta | None = None
    grace: timedelta | None = None
    delay: timedelta = timedelta(0)


class Scheduler:
    """The scheduler of the jobs of all monitors; its jobs are not stored.

    Raises at construction:
        ResourceError: the machine cannot start a thread.

    Args:
        missed: called for every tick that did not run.
        trainings_at_once: largest number of trainings at a time; further trainings wait.
        clock: the time, used for the first tick of each job.
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
        self._reporter: threading.Thread | None = None
        self._missed_ticks: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._scheduler = _SteadyScheduler(
            timezone=UTC,
            executors={
                Job.SCORE.value: _InSlots(self.slots),
                "default": _InSlots(self._others[0]),
                Job.TRAIN.value: _InSlots(self._others[1]),
                Job.PRUNE.value: _InSlots(self._others[2]),
            },
            # A late tick still runs, several late ticks run once, and no job overlaps itself.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._listen, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self, heartbeat: Callable[[], None]) -> None:
        """Start the ticks; call `heartbeat` at once, and again every `HEARTBEAT_SECONDS`.

        If the ticks stop, `heartbeat` is no longer called.

        Raises:
            ResourceError: the machine cannot start a thread.
        """
        self._reporter = start_thread(self._report_missed, "missed-ticks")
        heartbeat()
        every = timedelta(seconds=HEARTBEAT_SECONDS)
        self._scheduler.add_job(heartbeat, trigger_of(every, _UTC))
        with thread_errors("the scheduler"):
            self._scheduler.start()

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that ticks need, and the thread that reports missed ticks."""
        own = [slots.thread for slots in (self.slots, *self._others)]
        reporter = [self._reporter] if self._reporter is not None else []
        return [*self._scheduler.threads, *own, *reporter]

    @property
    def alive(self) -> bool:
        """Whether all threads of the scheduler are alive."""
        return not first_dead(self.threads)

    def short_seconds(self) -> float:
        """Return the number of seconds in which no thread could be started for a due job.

        Return 0 if threads can be started.
        """
        return max(slots.short_seconds() for slots in (self.slots, *self._others))

    def every(
        self,
        schedule: timedelta | Cron,
        monitor: str,
        work: Callable[[], Any],
        timing: Timing | None = None,
    ) -> None:
        """Score a monitor for the first time after `timing.delay`, and then by its schedule.

        A tick that is late by more than `timing.grace` does not run, because the next tick reads
        the same records.

        Args:
            schedule: pause between two ticks, or cron schedule.
            monitor: name of the monitor.
            work: called at each tick.
            timing: further settings of the ticks; None for the defaults.
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
        """Move a monitor's next tick to `HURRY` from now, a pause in which the present run can end."""
        soon = self._clock() + HURRY
        job = self._scheduler.get_job(_id(Job.SCORE, monitor))
        if job is None or (job.next_run_time is not None and job.next_run_time <= soon):
            return
        with suppress(JobLookupError):  # the job was dropped meanwhile
            job.modify(next_run_time=soon)

    def drop(self, monitor: str) -> None:
        """Stop scoring a monitor."""
        self._remove(_id(Job.SCORE, monitor))

    def drop_training(self, monitor: str) -> None:
        """Drop a requested training, unless the training waits for a worker already."""
        self._remove(_id(Job.TRAIN, monitor))

    def _remove(self, job: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(job)

    def once(self, monitor: str, work: Callable[[], Any]) -> None:
        """Train a monitor as soon as a worker is free.

        APScheduler counts a training that waits for a worker as running, even a dropped training.
        Such trainings must not prevent a new training, so up to `MOST_WAITING` are allowed.
        """
        self._scheduler.add_job(
            work,
            DateTrigger(timezone=UTC),
            id=_id(Job.TRAIN, monitor),
            executor=Job.TRAIN.value,
            max_instances=MOST_WAITING,
        )

    def prune(self, interval: timedelta, work: Callable[[], Any]) -> None:
        """Call `work` to remove old results, after `FIRST_PRUNE` and then at every interval."""
        self._scheduler.add_job(
            work,
            trigger_of(interval, _UTC),
            id=Job.PRUNE.value,
            replace_existing=True,
            executor=Job.PRUNE.value,
            next_run_time=self._clock() + FIRST_PRUNE,
        )

    def start_over(self) -> None:
        """Run every job now: after the clock was set, planned ticks may be far in the future."""
        for job in self._scheduler.get_jobs():
            with suppress(JobLookupError):  # the job was dropped, or has run, in the meantime
                job.modify(next_run_time=self._clock())

    def stop(self) -> None:
        """Stop the ticks; the runs that are running continue."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._missed_ticks.put(None)

    def _listen(self, event: JobEvent) -> None:
        # The scheduler's own thread must not wait for the store: if the store hangs, all ticks
        # would stop.
        self._missed_ticks.put((event.job_id, event.code))

    def _report_missed(self) -> None:
        while (missed := self._missed_ticks.get()) is not None:
            job, _, monitor = missed[0].partition(":")
            if monitor:
                outcome, reason = _MISSED[missed[1]]
                try:
                    self._missed(monitor, Job(job), outcome, reason)
                except Exception as error:  # noqa: BLE001 -- later ticks must be written, too
                    what = f"a missed tick of {monitor} is not in the ledger: {error!r}"
                    log(_logger, logging.ERROR, Action.SCHEDULER_FAILED, what)


def _id(job: Job, monitor: str) -> str:
    return f"{job}:{monitor}"
