"""Sending open episodes again to a receiver that would forget them otherwise."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aemon.config.values.templates import TemplateError
from aemon.logs import Action, log
from aemon.message import Message
from aemon.notify.composing import Words, message_of
from aemon.notify.receivers.receiver import Receiver, Resends
from aemon.notify.sending import Answer, send
from aemon.store import outbox
from aemon.store.store import Store

logger = logging.getLogger(__name__)


class Reminders:
    """The reminders of one receiver; none for a receiver that resends nothing.

    Args:
        name: of the receiver.
        receiver: where they are sent.
        store: where open episodes are looked up; its clock gives the time of a reminder.
        page: the address of the status page.
    """

    def __init__(self, name: str, receiver: Receiver, store: Store, page: str) -> None:
        self._name = name
        self._receiver = receiver
        self._store = store
        self._page = page
        self._sent_at: float | None = None  # monotonic: when the last round began

    def send_due(self, monitors: Mapping[str, Words]) -> Answer:
        """Send what is due of these monitors' open episodes; stop at the first failure.

        Returns:
            What became of the round; an empty answer where nothing was due.

        Raises:
            StoreError: the database fails.
        """
        resends, now = self._receiver.resends, time.monotonic()
        if resends is None or (
            self._sent_at is not None and now - self._sent_at < resends.every.total_seconds()
        ):
            return Answer()
        self._sent_at = now
        going_on = outbox.active(self._store, self._name, monitors)
        for start in range(0, len(going_on), resends.most_at_once):
            messages = [
                message
                for one in going_on[start : start + resends.most_at_once]
                if (message := message_of(self._store, one, monitors[one.monitor], self._page))
            ]
            answer = self._send(resends, messages)
            if not answer.taken:
                return answer
        return Answer()

    def _send(self, resends: Resends, messages: Sequence[Message]) -> Answer:
        now = self._store.now()
        parts: list[Any] = []
        for message in messages:
            try:
                parts.extend(resends.parts(message, now))
            except TemplateError as error:  # of this message; the others are sent
                log(
                    logger, logging.WARNING, Action.NOTIFY_FAILED, f"template: {error}",
                    receiver=self._name, monitor=message.monitor, episode=message.episode,
                )  # fmt: skip
        if not parts:
            return Answer()
        return send(self._receiver, resends.body(parts), messages[0].id)
