"""Episodes as Alertmanager's alerts (API v2).

An alert is known by its labels. The severity is one of them, because people route by it: where an
episode becomes critical, its warning ends in the same request in which the critical alert begins.
The episode is another: the end of one can never end the next.

What goes on is sent again every minute, to be believed for `HELD`. So an Alertmanager that lost
its memory learns of it again, and what a dead daemon told of ends by itself.
"""

from datetime import datetime, timedelta
from typing import Any

from aemon.config.receiver_settings import AlertmanagerReceiver
from aemon.message import Event, Message
from aemon.notify.receivers.text import text_of
from aemon.records import Severity

PATH = "/api/v2/alerts"
SENT_EVERY = timedelta(minutes=1)
HELD = timedelta(minutes=5)
"""A daemon may be away for this long, less a minute, before what it told of is over."""

ALERT_NAME, TEST_NAME = "AemonEpisode", "AemonTest"

Alert = dict[str, Any]


def news(settings: AlertmanagerReceiver, message: Message, now: datetime) -> list[Alert]:
    """The alerts that say what happened.

    Raises:
        TemplateError: the template cannot be filled with it.
    """
    if message.event is Event.RESOLVED:
        return [_alert(settings, message, message.severity, now, ends=now)]
    held = [_alert(settings, message, message.severity, now, ends=now + HELD)]
    if message.event is Event.ESCALATED and message.before is not None:
        held.append(_alert(settings, message, message.before, now, ends=now))
    return held


def still_on(settings: AlertmanagerReceiver, message: Message, now: datetime) -> Alert:
    """The alert of an episode that goes on, to be believed for a while longer.

    Raises:
        TemplateError: the template cannot be filled with it.
    """
    return _alert(settings, message, message.severity, now, ends=now + HELD)


def _alert(
    settings: AlertmanagerReceiver,
    message: Message,
    severity: Severity,
    now: datetime,
    *,
    ends: datetime,
) -> Alert:
    test = message.event is Event.TEST
    labels = {
        **settings.labels,
        **message.labels,
        "alertname": TEST_NAME if test else ALERT_NAME,
        "monitor": message.monitor,
        "entity": message.entity,
        "episode": str(message.episode),
        "severity": severity.value,
    }
    annotations = {
        "summary": f"{message.whose}: {message.reason}" if message.reason else message.whose,
        "description": text_of(message, settings.template),
        "columns": ", ".join(one.told for one in message.columns),
        "sql": message.sql,
        "command": message.command,
    }
    alert: Alert = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: text for name, text in annotations.items() if text},
        # Not the records' own time, which may be long past, and moves with late ones.
        "startsAt": _rfc3339(min(message.opened_at, now)),
        "endsAt": _rfc3339(ends),
    }
    if message.page:
        alert["generatorURL"] = message.page
    return alert


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
