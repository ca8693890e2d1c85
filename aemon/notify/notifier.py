"""Notifying receivers of episodes, beside the scoring, which never waits for a receiver."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aemon.clock import utc_now
from aemon.config.schema import Config, MonitorSettings
from aemon.metrics.metrics import Metrics
from aemon.notify.composing import Words
from aemon.notify.courier import Courier, CourierParts
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.records import Job, Outcome
from aemon.run_report import RunReport
from aemon.store.store import Store

if TYPE_CHECKING:
    from aemon.records import OpenEpisodes


LEAST_LONG_OVER, LONG_OVER_PAUSES = timedelta(hours=1), 3
_DID_NOT_RUN = (Outcome.SKIPPED, Outcome.MISFIRED)


class Outbox:
    """Keeps a courier for each configured receiver; without receivers it does nothing.

    Args:
        store: one of its own, so that no scoring run waits for a connection.
        metrics: count what is sent.
        held: returns the monitors watched here; another replica notifies of the others.
        page: the address of the status page.
    """

    def __init__(
        self, store: Store, metrics: Metrics, held: Callable[[], Collection[str]], page: str
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._held = held
        self._words: Mapping[str, Words] = {}
        self._couriers: dict[str, Courier] = {}
        self._open: dict[
            str, OpenEpisodes | None
        ] = {}  # monitor -> episodes open after its last run
        self._caught_up: dict[
            str, datetime
        ] = {}  # monitor -> end of a run that left nothing unread
        self._asked_at: float | None = None  # monotonic
        self._around = CourierParts(
            store=store, metrics=metrics, page=page, monitors=self._watched,
            configured=lambda: self._words, caught_up=self._caught_up.get,
        )  # fmt: skip

    def adopt(self, config: Config) -> None:
        """Notify the receivers of a configuration from now on.

        Raises:
            ResourceError: the machine has no thread to give; those left out are begun the next time.
        """
        self._words = {
            name: Words(units=one.columns.units, labels=one.labels, long_over=_long_over(one))
            for name, one in config.monitors.items()
        }
        for name, courier in [*self._couriers.items()]:
            if courier.settings != config.notify.get(name):
                del self._couriers[name]
                courier.ask_to_end()
                if name not in config.notify:
                    self._metrics.forget_receiver(name)
        for name, settings in config.notify.items():
            if name not in self._couriers:
                courier = Courier(name, receiver_of(settings), self._around)
                courier.start()
                self._couriers[name] = courier

    @property
    def threads(self) -> list[threading.Thread]:
        """Return the couriers' threads."""
        couriers = [*self._couriers.values()]
        return [courier.thread for courier in couriers if courier.thread is not None]

    def observe(self, report: RunReport) -> None:
        """Wake the couriers if a run may have opened, changed or closed an episode."""
        if not report.counts.unfinished and report.outcome not in _DID_NOT_RUN:
            self._caught_up[report.monitor] = report.finished_at
        before = self._open.get(report.monitor)
        self._open[report.monitor] = report.counts.episodes_open
        if (
            report.counts.anomalies
            or report.counts.episodes_opened
            or report.counts.episodes_open != before
        ):
            for courier in [*self._couriers.values()]:
                courier.wake()

    def ask_to_end(self) -> None:
        """Ask all couriers to end after the message in hand."""
        self._asked_at = time.monotonic()
        for courier in [*self._couriers.values()]:
            courier.ask_to_end()

    def stop(self, wait_seconds: float) -> None:
        """Wait for the messages in hand, at most this long since the couriers were asked to end.

        A message that a receiver has not answered by then is sent again after the next start.
        """
        if self._asked_at is None:
            self.ask_to_end()
        deadline = (self._asked_at or time.monotonic()) + wait_seconds
        for courier in [*self._couriers.values()]:
            courier.join(max(0.0, deadline - time.monotonic()))
        self._store.close()

    def _watched(self) -> Mapping[str, Words]:
        """Return the units and labels of the monitors that are watched here."""
        held = self._held()
        return {name: words for name, words in self._words.items() if name in held}


def _long_over(monitor: MonitorSettings) -> timedelta:
    """What ended so long before it was found is of a backlog: more than a late run or two explain."""
    return max(LEAST_LONG_OVER, LONG_OVER_PAUSES * monitor.pause(Job.SCORE, utc_now()))
