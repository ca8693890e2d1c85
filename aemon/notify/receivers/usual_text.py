"""The usual text instead of a configured template that cannot be filled: the message is sent."""

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
    """Return what a receiver makes of a message, without its templates where they fail.

    Args:
        name: of the receiver.
        receiver: whose templates are tried first.
        message: what is sent.
        fill: returns what the given receiver makes of the message.
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
