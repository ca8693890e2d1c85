"""Episodes as chat messages, by incoming webhooks of Slack, Mattermost and Rocket.Chat."""

import json
from datetime import datetime
from typing import Any, ClassVar

from aemon.config.receiver_settings import SlackReceiver
from aemon.message import Event, Message
from aemon.notify.receivers.posted import Posted
from aemon.notify.receivers.text import text_of
from aemon.records import Severity

_COLOURS = {Severity.WARNING: "#b26a00", Severity.CRITICAL: "#c62828"}
_OVER = "#2e7d32"


class Slack(Posted[SlackReceiver]):
    """The webhook of a chat. Its URL is its credential; a message is text and one attachment."""

    __slots__ = ()
    address_is_secret: ClassVar[bool] = True

    def payload(self, message: Message, now: datetime) -> bytes:  # noqa: ARG002 -- the protocol's
        """Return the message as text and an attachment.

        Raises:
            TemplateError: the template cannot be filled with the message.
        """
        variables = _escaped(message.variables())
        title: str = variables["title"]
        text = text_of(message, self.settings.template, variables)
        over = message.event is Event.RESOLVED
        attachment = {
            "color": _OVER if over else _COLOURS[message.severity],
            "fallback": title,
            "text": text,
            "mrkdwn_in": ["text"],
        }
        if message.page:
            attachment |= {"title": f"episode {message.episode}", "title_link": message.page}
        return json.dumps({"text": title, "attachments": [attachment]}).encode()


def _escaped(value: Any) -> Any:
    """Escape text that Slack would read as markup: a record might contain <!channel>."""
    if isinstance(value, str):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, dict):
        return {name: _escaped(part) for name, part in value.items()}
    return [_escaped(part) for part in value] if isinstance(value, list) else value
