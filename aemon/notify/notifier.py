"""The outbox: it notifies receivers of episodes, and scoring never waits for a receiver."""

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


LEAST_LONG_OVER, LONG_OVER_PAUSES = (
    timedelta(hours=1),
    3,
)  # an hour, or three pauses between runs if longer: see `_long_over`
_DID_NOT_RUN = (Outcome.SKIPPED, Outcome.MISFIRED)


class Outbox:
    """The couriers of all configured receivers.

    Args:
        store: a store that only the outbox uses, so that no scoring run waits for a connection.
        metrics: the metrics that count notifications.
        held: returns the monitors that this replica watches; other replicas notify of the other
            monitors.
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
        ] = {}  # monitor -> end of the last run that read all records
        self._asked_at: float | None = None  # monotonic
        self._parts = CourierParts(
            store=store, metrics=metrics, page=page, monitors=self._watched,
            configured=lambda: self._words, caught_up=self._caught_up.get,
        )  # fmt: skip

    def adopt(self, config: Config) -> None:
        """Notify the receivers of a configuration from now on.

        Raises:
            ResourceError: the machine cannot start a thread; the next call starts the couriers that
                are missing.
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
                courier = Courier(name, receiver_of(settings), self._parts)
                courier.start()
                self._couriers[name] = courier

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads of the couriers."""
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
        """Ask all couriers to end; each courier first finishes the message that it is sending."""
        self._asked_at = time.monotonic()
        for courier in [*self._couriers.values()]:
            courier.ask_to_end()

    def stop(self, wait_seconds: float) -> None:
        """Wait for the messages that are being sent.

        A message that has no answer after this wait is sent again after the next start.

        Args:
            wait_seconds: the longest wait, counted from `ask_to_end`.
        """
        if self._asked_at is None:
            self.ask_to_end()
        deadline = (self._asked_at or time.monotonic()) + wait_seconds
        for courier in [*self._couriers.values()]:
            courier.join(max(0.0, deadline - time.monotonic()))
        self._store.close()

    def _watched(self) -> Mapping[str, Words]:
        """Return the units and labels of the monitors that this replica watches."""
        held = self._held()
        return {name: words for name, words in self._words.items() if name in held}


def _long_over(monitor: MonitorSettings) -> timedelta:
    """Return the longest usual time from the end of an episode to its detection.

    An episode that is found later belongs to a backlog. One or two late runs cause a shorter delay.
    """
    return max(LEAST_LONG_OVER, LONG_OVER_PAUSES * monitor.pause(Job.SCORE, utc_now()))
