"""What is sent to each kind of receiver: where to, and the JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aemon.config.receiver_settings import (
    AlertmanagerReceiver,
    ReceiverSettings,
    SlackReceiver,
    WebhookReceiver,
)
from aemon.config.values.templates import render_json
from aemon.message import Event, Message
from aemon.notify.receivers import alertmanager
from aemon.notify.receivers.alertmanager import Alert
from aemon.notify.receivers.text import text_of
from aemon.records import Severity

_COLOURS = {Severity.WARNING: "#b26a00", Severity.CRITICAL: "#c62828"}
_OVER = "#2e7d32"


def address(settings: ReceiverSettings) -> str:
    """Where a receiver's messages go."""
    url = settings.url.get_secret_value()
    if isinstance(settings, AlertmanagerReceiver):
        return url.rstrip("/").removesuffix(alertmanager.PATH) + alertmanager.PATH
    return url


def payload(settings: ReceiverSettings, message: Message, now: datetime) -> bytes:
    """A message as its receiver wants it.

    Raises:
        TemplateError: a template cannot be filled with it.
    """
    if isinstance(settings, AlertmanagerReceiver):
        return alerts_json(alertmanager.news(settings, message, now))
    if isinstance(settings, SlackReceiver):
        return json.dumps(_slack(settings, message)).encode()
    if isinstance(settings, WebhookReceiver):
        return _webhook(settings, message).encode()
    raise TypeError(f"no kind of receiver: {type(settings).__name__}")


def alerts_json(alerts: Sequence[Alert]) -> bytes:
    """Alerts as Alertmanager takes them."""
    return json.dumps(alerts).encode()


def _webhook(settings: WebhookReceiver, message: Message) -> str:
    fields = {**message.variables(), "text": text_of(message, settings.template)}
    return json.dumps(fields) if settings.body is None else render_json(settings.body, fields)


def _slack(settings: SlackReceiver, message: Message) -> dict[str, Any]:
    """Text and one attachment: what Slack, Mattermost and Rocket.Chat all show."""
    variables = _escaped(message.variables())
    title: str = variables["title"]
    text = text_of(message, settings.template, variables)
    over = message.event is Event.RESOLVED
    attachment = {
        "color": _OVER if over else _COLOURS[message.severity],
        "fallback": title,
        "text": text,
        "mrkdwn_in": ["text"],
    }
    if message.page:
        attachment |= {"title": f"episode {message.episode}", "title_link": message.page}
    return {"text": title, "attachments": [attachment]}


def _escaped(value: Any) -> Any:
    """Values whose text means nothing to Slack: a record might hold <!channel>."""
    if isinstance(value, str):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, dict):
        return {name: _escaped(part) for name, part in value.items()}
    return [_escaped(part) for part in value] if isinstance(value, list) else value
