"""Episodes as Alertmanager's alerts (API v2).

Alertmanager identifies an alert by its labels. The severity is a label, because people route alerts
by severity. When an episode becomes critical, one request ends the alert of severity `warning` and
begins the alert of severity `critical`. The episode's number is a label, too, so that the end of
one episode cannot end the alert of the next episode.

The alert of an acknowledged episode does not end: an end would mean that all is well. A second
alert, `AemonEpisodeAcknowledged`, reports that a person has acknowledged the episode. An inhibition
rule of the Alertmanager mutes the first alert while the second alert lasts (deploy/alertmanager).
The second alert never ends after the first alert, because Alertmanager does not notify of the end
of a muted alert.

Many episodes that had ended long before aemon found them become one alert, `AemonBacklog`, which
ends by itself.

An alert of an open episode is sent again every minute, and ends `HELD` later. So an Alertmanager
that lost its memory receives the episode again, and the alerts of a dead daemon end by themselves.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from aemon.config.receiver_settings import AlertmanagerReceiver
from aemon.message import Event, Message
from aemon.notify.receivers.receiver import Resends
from aemon.notify.receivers.text import text_of
from aemon.records import Severity

PATH = "/api/v2/alerts"
SENT_EVERY = timedelta(minutes=1)
HELD = timedelta(minutes=5)
"""After a daemon has died, its alerts end after this time, or up to one minute earlier."""

ALERTS_AT_ONCE = 64  # largest number of alerts in one request, as in Prometheus
ALERT_NAME, ACKNOWLEDGED_NAME, TEST_NAME = "AemonEpisode", "AemonEpisodeAcknowledged", "AemonTest"
BACKLOG_NAME = "AemonBacklog"

Alert = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """An Alertmanager, which keeps the state of every alert, and needs reminders."""

    settings: AlertmanagerReceiver
    address_is_secret: ClassVar[bool] = False
    notifies_end: ClassVar[bool] = True

    @property
    def address(self) -> str:
        """The URL for posting alerts; the configuration may leave out the path of the API."""
        return self.settings.url.get_secret_value().rstrip("/").removesuffix(PATH) + PATH

    @property
    def resends(self) -> Resends:
        """Return how the alerts of open episodes are sent again."""
        return Resends(
            every=SENT_EVERY, most_at_once=ALERTS_AT_ONCE, parts=self.ongoing, body=_json
        )

    def payload(self, message: Message, now: datetime) -> bytes:
        """Return the alerts of a message.

        Raises:
            TemplateError: the template cannot be filled with the message.
        """
        if message.event is Event.RESOLVED:
            ends = self._alerts(message, message.severity, now, ends=now)
            return _json(ends[::-1])
        alerts = self.ongoing(message, now)
        if message.event is Event.ESCALATED and message.before is not None:
            alerts.append(self._alert(ALERT_NAME, message, message.before, now, ends=now))
        return _json(alerts)

    def ongoing(self, message: Message, now: datetime) -> list[Alert]:
        """Return the alerts of an open episode, with the end time `now + HELD`.

        Raises:
            TemplateError: the template cannot be filled with the message.
        """
        return self._alerts(message, message.severity, now, ends=now + HELD)

    def _alerts(
        self, message: Message, severity: Severity, now: datetime, *, ends: datetime
    ) -> list[Alert]:
        if message.event is Event.TEST:
            return [self._alert(TEST_NAME, message, severity, now, ends=ends)]
        if message.event is Event.BACKLOG:
            return [self._alert(BACKLOG_NAME, message, severity, now, ends=ends)]
        names = [ALERT_NAME, *([ACKNOWLEDGED_NAME] if message.acknowledged else [])]
        return [self._alert(name, message, severity, now, ends=ends) for name in names]

    def _alert(
        self, name: str, message: Message, severity: Severity, now: datetime, *, ends: datetime
    ) -> Alert:
        labels = {
            **self.settings.labels,
            **message.labels,
            "alertname": name,
            "monitor": message.monitor,
            "entity": message.entity,
            "episode": str(message.episode),
            "severity": "info" if name == ACKNOWLEDGED_NAME else severity.value,
        }
        annotations = {
            "summary": f"{message.whose}: {message.reason}" if message.reason else message.whose,
            "description": text_of(message, self.settings.template),
            "columns": ", ".join(one.summary for one in message.columns),
            "sql": message.sql,
            "command": message.command,
        }
        alert: Alert = {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: text for name, text in annotations.items() if text},
            # The event time of the first record is not used: this time may be long past, and late
            # records change it.
            "startsAt": _rfc3339(min(message.opened_at, now)),
            "endsAt": _rfc3339(ends),
        }
        if message.page:
            alert["generatorURL"] = message.page
        return alert


def _json(alerts: Sequence[Alert]) -> bytes:
    return json.dumps(alerts).encode()


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
