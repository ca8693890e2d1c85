"""Episodes as JSON for any program: every field of a message, or a body of the user's own."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from aemon.config.receiver_settings import WebhookReceiver
from aemon.config.values.templates import render_json
from aemon.message import Message
from aemon.notify.receivers.text import text_of


@dataclass(frozen=True, slots=True)
class Webhook:
    """Anything that takes JSON by POST."""

    settings: WebhookReceiver
    address_is_secret: ClassVar[bool] = False
    acknowledged_is_over: ClassVar[bool] = False
    resends: ClassVar[None] = None

    @property
    def address(self) -> str:
        """The configured URL."""
        return self.settings.url.get_secret_value()

    @property
    def notifies_end(self) -> bool:
        """Whether `resolved` is configured."""
        return self.settings.resolved

    def payload(self, message: Message, now: datetime) -> bytes:  # noqa: ARG002 -- the protocol's
        """Return the fields of the message and its text, or the configured body filled with them.

        Raises:
            TemplateError: a template cannot be filled with the message.
        """
        settings = self.settings
        fields = {**message.variables(), "text": text_of(message, settings.template)}
        body = json.dumps(fields) if settings.body is None else render_json(settings.body, fields)
        return body.encode()
