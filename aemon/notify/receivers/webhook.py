"""Episodes as JSON for any program: every field of a message, or a configured body."""

import json
from datetime import datetime
from typing import ClassVar

from aemon.config.receiver_settings import WebhookReceiver
from aemon.config.values.templates import render_json
from aemon.message import Message
from aemon.notify.receivers.posted import Posted
from aemon.notify.receivers.text import text_of


class Webhook(Posted[WebhookReceiver]):
    """A receiver that takes JSON by POST."""

    __slots__ = ()
    address_is_secret: ClassVar[bool] = False

    def payload(self, message: Message, now: datetime) -> bytes:  # noqa: ARG002 -- the protocol's
        """Return the fields of the message and its text, or the configured body filled with both.

        Raises:
            TemplateError: a template cannot be filled with the message.
        """
        settings = self.settings
        fields = {**message.variables(), "text": text_of(message, settings.template)}
        body = json.dumps(fields) if settings.body is None else render_json(settings.body, fields)
        return body.encode()
