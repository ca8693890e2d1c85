"""The kinds of receivers, and the class of settings that belongs to each kind."""

from collections.abc import Callable
from typing import Any

from aemon.config import receiver_settings
from aemon.notify.receivers.alertmanager import Alertmanager
from aemon.notify.receivers.receiver import Receiver
from aemon.notify.receivers.slack import Slack
from aemon.notify.receivers.webhook import Webhook

_KINDS: dict[type[receiver_settings.ReceiverSettings], Callable[[Any], Receiver]] = {
    receiver_settings.AlertmanagerReceiver: Alertmanager,
    receiver_settings.SlackReceiver: Slack,
    receiver_settings.WebhookReceiver: Webhook,
}


def receiver_of(settings: receiver_settings.ReceiverSettings) -> Receiver:
    """Return the receiver for these settings. The receiver connects only when a message is sent."""
    return _KINDS[type(settings)](settings)
