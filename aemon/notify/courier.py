"""A courier sends the notifications of one receiver, in its own thread.

So a receiver that hangs does not delay other receivers.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aemon.clock import ClockSteps, is_wrong
from aemon.errors import AemonError, StoreError
from aemon.logs import Action, log
from aemon.message import Event, Message
from aemon.metrics.metrics import Metrics
from aemon.notify.composing import Words, backlog_message, message_of
from aemon.notify.receivers.receiver import Receiver
from aemon.notify.receivers.usual_text import filled
from aemon.notify.reminding import Reminders
from aemon.notify.sending import LONGEST_WAIT, Answer, send
from aemon.store import delivery, outbox
from aemon.store.outbox import CaughtUp, Notification, NotificationState, Rules
from aemon.store.store import Store
from aemon.threads import start_thread

LOOK_EVERY_SECONDS = 10.0  # to find changes that people made; runs wake a courier at once
LEAST_PAUSE_SECONDS = 0.2  # between two looks for notifications, even if many runs end
FIRST_PAUSE = timedelta(seconds=1)  # after the first failure; doubled after each further failure
LONGEST_PAUSE = timedelta(minutes=5)
MARGIN = timedelta(seconds=2)  # added to the timeouts of a claim, for the store and the template

logger = logging.getLogger(__name__)

Monitors = Callable[[], Mapping[str, Words]]
"""A function that returns the monitors of this replica: name -> units and labels for messages."""


@dataclass(frozen=True, kw_only=True)
class CourierParts:
    """The parts that all couriers share."""

    store: Store
    metrics: Metrics
    monitors: Monitors
    configured: Callable[[], Collection[str]]  # all monitors, watched here or by other replicas
    page: str  # address of the status page
    caught_up: Callable[[str], datetime | None]  # when a run of a monitor last read all records


class Courier:
    """The sender of one receiver's notifications.

    A message is sent at least once. If the daemon dies between the receiver's answer and the
    commit, the daemon sends the message again after its next start, with the same id.
    """

    def __init__(self, name: str, receiver: Receiver, parts: CourierParts) -> None:
        self.name = name
        self.receiver = receiver
        self.settings = receiver.settings
        self._store = parts.store
        self._metrics = parts.metrics
        self._monitors = parts.monitors
        self._configured = parts.configured
        self._page = parts.page
        self._caught_up = parts.caught_up
        # If the time of a next try is further in the future than this, the time was stored before
        # the clock was set back.
        self._longest_wait = LONGEST_WAIT + 2 * self.settings.timeout + MARGIN
        self._known_at: datetime | None = None
        # A step of the clock must not make a notification count as too old.
        hold = max(self.settings.give_up_after, self.settings.oldest or timedelta(0))
        self._steps = ClockSteps(parts.store.now, hold)
        self._not_before = 0.0  # monotonic: the end of the pause after a failure of the receiver
        self._next_try: float | None = None  # monotonic
        self._reminders = Reminders(name, receiver, parts.store, parts.page)
        self._unsettled: list[Callable[[], None]] = []  # outcomes that are not in the store yet
        self._store_fails = False
        self._wake = threading.Event()
        self._over = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread.

        Raises:
            ResourceError: the machine cannot start a thread.
        """
        self._metrics.add_receiver(self.name)
        self._wake.set()
        self.thread = start_thread(self._work, f"notify:{self.name}")

    def wake(self) -> None:
        """Look for notifications at once, because an episode may have changed."""
        self._wake.set()

    def ask_to_end(self) -> None:
        """Ask the thread to end after the message that it is sending."""
        self._over.set()
        self._wake.set()

    def join(self, wait_seconds: float) -> None:
        """Wait at most `wait_seconds` for the thread to end; a thread that hangs keeps running."""
        if self.thread is not None:
            self.thread.join(wait_seconds)

    def _work(self) -> None:
        while not self._over.is_set():
            self._wake.wait(self._pause_seconds())
            self._wake.clear()
            began = time.monotonic()
            try:
                if not self._over.is_set():
                    self._round()
                    self._store_fails = False
            except StoreError as error:
                self._store_failed(error)
            except Exception:
                logger.exception("", extra={"action": Action.NOTIFY_CRASHED, "receiver": self.name})
            self._over.wait(max(0.0, LEAST_PAUSE_SECONDS - (time.monotonic() - began)))
        try:
            self._settle()
        except StoreError as error:
            self._store_failed(error)

    def _pause_seconds(self) -> float:
        """Return the seconds until the next look for notifications, if `wake` is not called."""
        if self._next_try is None:
            return LOOK_EVERY_SECONDS
        left = max(self._next_try, self._not_before) - time.monotonic()
        return min(max(left, 0.0), LOOK_EVERY_SECONDS)

    def _round(self) -> None:
        self._settle()
        monitors = {
            name: words
            for name, words in self._monitors().items()
            if self.settings.notifies_of(name)
        }
        rules = self._rules(monitors)
        outbox.plan(self._store, rules, monitors)
        delivery.plan_backlogs(self._store, rules, monitors)
        self._send_waiting(monitors)
        self._remind(monitors)
        reported = [name for name in self._configured() if self.settings.notifies_of(name)]
        counts = outbox.counted(self._store, self.name, reported)
        if not self._over.is_set():
            self._metrics.show_notifications(
                self.name,
                waiting=counts[NotificationState.WAITING],
                dead=counts[NotificationState.DEAD],
            )

    def _rules(self, monitors: Mapping[str, Words]) -> Rules:
        """Return the rules that select the episodes to report.

        The rules exclude episodes that ended too long ago.
        """
        if self._known_at is None:
            self._known_at = delivery.known_since(self._store, self.name)
        now, oldest = self._steps.without_steps(), self.settings.oldest
        since = now - self.settings.give_up_after
        return Rules(
            receiver=self.name,
            since=since if is_wrong(self._known_at, now) else max(self._known_at, since),
            oldest=None if oldest is None else now - oldest,
            least=self.settings.severity,
            resolved=self.receiver.notifies_end,
            caught_up={
                name: CaughtUp(at=self._caught_up(name), long_over=words.long_over)
                for name, words in monitors.items()
            },
        )

    def _send_waiting(self, monitors: Mapping[str, Words]) -> None:
        # The monotonic time is read once for all notifications, before the store's time. So when
        # the receiver's pause is over, the pause of the failed notification is over, too, and that
        # notification is sent first.
        began, self._next_try = time.monotonic(), None
        held_up: set[int] = set()  # episodes with an earlier notification that is not sent yet
        found = outbox.waiting(self._store, self.name, monitors)
        now = self._store.now()
        for one in found:
            if self._over.is_set():
                return
            if one.episode_id in held_up:
                continue
            due = one.next_try_at is None or not now < one.next_try_at <= now + self._longest_wait
            if not due or began < self._not_before:
                wait = (one.next_try_at - now).total_seconds() if one.next_try_at else 0.0
                self._try_in(wait)
            elif self._notify(one, monitors[one.monitor]):
                continue
            held_up.add(one.episode_id)

    def _try_in(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        self._next_try = at if self._next_try is None else min(self._next_try, at)

    def _notify(self, one: Notification, words: Words) -> bool:
        """Send a notification; return whether the next notification of its episode may be sent."""
        until = self._store.now() + 2 * self.settings.timeout + MARGIN
        if not delivery.claim(self._store, one, until):
            return False  # another replica is sending it
        message = self._message(one, words)
        if message is None:
            return True  # the episode was removed, and the notification with it
        answer = self._send(one, message)
        if answer.taken:
            self._taken(one, message, answer)
            return True
        return self._failed(one, answer)

    def _message(self, one: Notification, words: Words) -> Message | None:
        if one.event != Event.BACKLOG:
            return message_of(self._store, one, words, self._page)
        rules = self._rules({one.monitor: words})
        found = delivery.summed_up(self._store, rules, one)
        return backlog_message(one, found, words, self._page)

    def _send(self, one: Notification, message: Message) -> Answer:
        now, oldest = self._store.now(), self.settings.oldest
        if oldest is not None and self._age(one) > oldest:
            # The receiver was not configured for a long time, or no daemon ran.
            return Answer(error="too old to be sent", permanent=True, alone=True)
        body = filled(self.name, self.receiver, message, lambda one: one.payload(message, now))
        return send(self.receiver, body, message.id)

    def _taken(self, one: Notification, message: Message, answer: Answer) -> None:
        self._count("sent")
        log(
            logger, logging.INFO, Action.NOTIFY_SENT, message.title, receiver=self.name, monitor=one.monitor,
            episode=one.episode_id, event=one.event,
        )  # fmt: skip
        self._unsettled.append(
            lambda: delivery.note_sent(self._store, one, message.severity, answer.status)
        )
        self._settle()
        self.wake()  # the notification of the episode's end may be due already

    def _failed(self, one: Notification, answer: Answer) -> bool:
        pause = answer.retry_after or _pause(one.attempts)
        dead = answer.permanent or self._age(one) >= self.settings.give_up_after
        again_at = None if dead else self._store.now() + pause
        outcome = "dead" if dead else "failed"
        self._count(outcome)
        level, action = (
            (logging.ERROR, Action.NOTIFY_DEAD) if dead else (logging.WARNING, Action.NOTIFY_FAILED)
        )
        log(
            logger, level, action, answer.error, receiver=self.name, monitor=one.monitor,
            episode=one.episode_id, event=one.event,
        )  # fmt: skip
        if not (dead or answer.alone):
            self._not_before = time.monotonic() + pause.total_seconds()
        if not dead:
            self._try_in(pause.total_seconds())
        self._unsettled.append(
            lambda: delivery.note_failed(self._store, one, answer.error, answer.status, again_at)
        )
        self._settle()
        return dead

    def _age(self, one: Notification) -> timedelta:
        """Return how long a notification has been due, unaffected by changes of the clock."""
        return self._steps.without_steps() - (one.due_at or one.created_at)

    def _settle(self) -> None:
        """Store the outcomes of sent messages; the next call continues after an error."""
        while self._unsettled:
            self._unsettled[0]()
            self._unsettled.pop(0)

    def _remind(self, monitors: Mapping[str, Words]) -> None:
        """Send open episodes again if the receiver needs reminders and is not failing."""
        if time.monotonic() < self._not_before:
            return
        answer = self._reminders.send_due(monitors)
        if not answer.taken:
            self._count("failed")
            log(logger, logging.WARNING, Action.NOTIFY_FAILED, answer.error, receiver=self.name)

    def _count(self, outcome: str) -> None:
        if not self._over.is_set():
            self._metrics.notifications.labels(self.name, outcome).inc()

    def _store_failed(self, error: AemonError) -> None:
        """Log once that the store does not answer; the next round tries again."""
        self._metrics.store_errors.inc()
        if not self._store_fails:
            log(logger, logging.WARNING, Action.NOTIFY_FAILED, str(error), receiver=self.name)
        self._store_fails = True


def _pause(attempts: int) -> timedelta:
    """Return the pause after a failure.

    Args:
        attempts: number of tries that failed before this failure.
    """
    longest: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts, 20))
    return longest * random.uniform(0.8, 1.2)  # noqa: S311 -- so that replicas do not try at the same moment
