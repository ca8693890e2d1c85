"""The protocol of all kinds of receivers; a contract test checks every kind.

A new kind consists of settings, a module beside this one, and an entry in `receiver_kinds.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from aemon.config.receiver_settings import ReceiverSettings
from aemon.message import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Resends:
    """How to remind a receiver of open episodes, if the receiver would forget them otherwise.

    Attributes:
        every: the time from the beginning of one round of reminders to the beginning of the next
            round.
        most_at_once: the largest number of messages in one request.
        parts: returns the JSON values of one message; raises `TemplateError`.
        body: returns the bytes of one request, from the values of its messages.
    """

    every: timedelta
    most_at_once: int
    parts: Callable[[Message, datetime], Sequence[Any]]
    body: Callable[[Sequence[Any]], bytes]


class Receiver(Protocol):
    """One configured receiver of notifications, with its address and its form of a message."""

    @property
    def settings(self) -> ReceiverSettings:
        """The receiver's part of the configuration."""

    @property
    def address(self) -> str:
        """The URL to which messages are posted; it may contain secrets."""

    @property
    def address_is_secret(self) -> bool:
        """Whether the address alone is enough to post messages."""

    @property
    def notifies_end(self) -> bool:
        """Whether the receiver is notified when an episode ends."""

    @property
    def resends(self) -> Resends | None:
        """The reminders of open episodes; None if the receiver needs no reminders."""

    def payload(self, message: Message, now: datetime) -> bytes:
        """Return a message as JSON in the form of this receiver.

        Raises:
            TemplateError: a template cannot be filled with the message.
        """
