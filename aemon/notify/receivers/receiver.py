"""The protocol every kind of receiver fulfils; a contract test holds all of them to it.

A new kind is its settings, one file beside this one, and one line in `receiver_kinds.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from aemon.config.receiver_settings import ReceiverSettings
from aemon.message import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Resends:
    """What a receiver gets again while an episode is open, because it would forget it otherwise.

    Attributes:
        every: time from one round to the next.
        most_at_once: messages in one request.
        parts: the JSON values of one message; raises `TemplateError`.
        body: the bytes of one request, from the values of its messages.
    """

    every: timedelta
    most_at_once: int
    parts: Callable[[Message, datetime], Sequence[Any]]
    body: Callable[[Sequence[Any]], bytes]


class Receiver(Protocol):
    """One configured receiver of notifications: where they are posted, and what is posted."""

    @property
    def settings(self) -> ReceiverSettings:
        """Its part of the configuration."""

    @property
    def address(self) -> str:
        """The URL its messages are posted to; it may hold secrets."""

    @property
    def address_is_secret(self) -> bool:
        """Whether knowing the address is enough to post there."""

    @property
    def notifies_end(self) -> bool:
        """Whether the receiver is notified when an episode ends."""

    @property
    def resends(self) -> Resends | None:
        """What is sent again while an episode is open; None if nothing is."""

    def payload(self, message: Message, now: datetime) -> bytes:
        """Return a message as this receiver wants it, as JSON.

        Raises:
            TemplateError: a template cannot be filled with the message.
        """
