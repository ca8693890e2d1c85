"""The usual text for a message, sent if the configured template cannot be filled."""

import logging
from collections.abc import Callable
from typing import TypeVar

from aemon.config.values.templates import TemplateError
from aemon.logs import Action, log
from aemon.message import Message
from aemon.notify.receivers.receiver import Receiver
from aemon.notify.receivers.receiver_kinds import receiver_of

T = TypeVar("T")

logger = logging.getLogger(__name__)


def filled(name: str, receiver: Receiver, message: Message, fill: Callable[[Receiver], T]) -> T:
    """Return a message in a receiver's form; if a template fails, in the form without templates.

    Args:
        name: the name of the receiver.
        receiver: the receiver, whose templates are tried first.
        message: the message to send.
        fill: returns the message in the form of the given receiver.
    """
    try:
        return fill(receiver)
    except TemplateError as error:
        log(
            logger, logging.WARNING, Action.NOTIFY_TEMPLATE, str(error), receiver=name,
            monitor=message.monitor, episode=message.episode, event=message.event,
        )  # fmt: skip
        return fill(_without_templates(receiver))


def _without_templates(receiver: Receiver) -> Receiver:
    settings = receiver.settings
    templates = [name for name in ("template", "body") if name in type(settings).model_fields]
    return receiver_of(settings.model_copy(update=dict.fromkeys(templates)))
