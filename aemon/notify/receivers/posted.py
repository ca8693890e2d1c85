"""The common part of receivers that need no reminders: each message is posted once."""

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from aemon.config.receiver_settings import SlackReceiver, WebhookReceiver

S = TypeVar("S", SlackReceiver, WebhookReceiver)


@dataclass(frozen=True, slots=True)
class Posted(Generic[S]):
    """A receiver at a URL that needs no reminders of open episodes."""

    settings: S
    resends: ClassVar[None] = None

    @property
    def address(self) -> str:
        """The configured URL."""
        return self.settings.url.get_secret_value()

    @property
    def notifies_end(self) -> bool:
        """Whether `resolved` is configured."""
        return self.settings.resolved
