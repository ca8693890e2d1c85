"""Reminders: open episodes are sent again to a receiver that would forget them otherwise."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aemon.message import Message
from aemon.notify.composing import Words, message_of
from aemon.notify.receivers.receiver import Receiver, Resends
from aemon.notify.receivers.usual_text import filled
from aemon.notify.sending import Answer, send
from aemon.store import outbox
from aemon.store.store import Store


class Reminders:
    """The reminders of one receiver; a receiver without `resends` gets no reminders.

    Args:
        name: the name of the receiver.
        receiver: the receiver.
        store: the store of the open episodes; its clock gives the time of a reminder.
        page: the address of the status page.
    """

    def __init__(self, name: str, receiver: Receiver, store: Store, page: str) -> None:
        self._name = name
        self._receiver = receiver
        self._store = store
        self._page = page
        self._sent_at: float | None = None  # monotonic: when the last round began

    def send_due(self, monitors: Mapping[str, Words]) -> Answer:
        """Send the open episodes of `monitors` if a reminder is due; stop at the first failure.

        Returns:
            The answer to the request that failed; an empty answer if no request failed, or no
            reminder was due.

        Raises:
            StoreError: the database fails.
        """
        resends, now = self._receiver.resends, time.monotonic()
        if resends is None or (
            self._sent_at is not None and now - self._sent_at < resends.every.total_seconds()
        ):
            return Answer()
        self._sent_at = now
        open_episodes = outbox.active(self._store, self._name, monitors)
        for start in range(0, len(open_episodes), resends.most_at_once):
            messages = [
                message
                for one in open_episodes[start : start + resends.most_at_once]
                if (message := message_of(self._store, one, monitors[one.monitor], self._page))
            ]
            answer = self._send(resends, messages)
            if not answer.taken:
                return answer
        return Answer()

    def _send(self, resends: Resends, messages: Sequence[Message]) -> Answer:
        now = self._store.now()
        parts = [part for message in messages for part in self._parts(message, now)]
        if not parts:
            return Answer()
        return send(self._receiver, resends.body(parts), messages[0].id)

    def _parts(self, message: Message, now: datetime) -> Sequence[Any]:
        def parts(receiver: Receiver) -> Sequence[Any]:
            return receiver.resends.parts(message, now) if receiver.resends is not None else ()

        return filled(self._name, self._receiver, message, parts)
