"""Lists notifications, sends notifications again, and sends test messages to receivers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aemon.config.schema import Config
from aemon.config.values.addresses import page_url
from aemon.config.web_settings import serves_tls
from aemon.errors import ConfigError, NotFoundError
from aemon.message import EXAMPLE
from aemon.operations.installation import Installation
from aemon.store.delivery import listed, try_again
from aemon.store.outbox import Notification, NotificationState


@dataclass(frozen=True, kw_only=True, slots=True)
class Retried:
    """The number of notifications that will be sent again."""

    tried_again: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedReceiver:
    """The answer of a receiver to a test message.

    Attributes:
        status: the HTTP status; None without an answer.
        error: description of the error, without secrets; empty if the message was accepted.
    """

    receiver: str
    status: int | None
    error: str


def list_notifications(
    installation: Installation, *, dead: bool = False, receiver: str | None = None, limit: int = 20
) -> tuple[Notification, ...]:
    """Return notifications, newest first.

    Args:
        installation: the installation.
        dead: whether to return only dead letters: notifications that aemon has given up.
        receiver: only notifications to this receiver; None for all receivers.
        limit: largest number of notifications.

    Raises:
        NoResultsError: there are no results yet.
    """
    states = [NotificationState.DEAD] if dead else None
    return tuple(listed(installation.store, states=states, receiver=receiver, limit=limit))


def retry_notifications(installation: Installation, number: int | None = None) -> Retried:
    """Mark a notification to be sent again within seconds; without a number, all dead letters.

    Raises:
        NotFoundError: no notification with this number is a dead letter or waits.
        NoResultsError: there are no results yet.
    """
    count = try_again(installation.store, number)
    if number is not None and not count:
        raise NotFoundError(
            f"there is no notification {number} that is dead or waits",
            todo="`aemon notify list` lists the notifications",
        )
    return Retried(tried_again=count)


def try_receivers(
    installation: Installation, names: Sequence[str] | None = None
) -> tuple[TriedReceiver, ...]:
    """Send a test message to receivers, and return their answers; without names, to all receivers.

    The message says that its episode is invented. The store is not changed.

    Raises:
        ConfigError: no receivers are configured, or one of the names is not a receiver.
    """
    config = installation.config
    return tuple(_try(installation, name) for name in _chosen(config, names))


def _chosen(config: Config, names: Sequence[str] | None) -> list[str]:
    if not config.notify:
        raise ConfigError(
            "there are no receivers", todo="add receivers under `notify` in the configuration"
        )
    for name in names or ():
        if name not in config.notify:
            known = ", ".join(config.notify)
            raise ConfigError(f"there is no receiver {name!r}", todo=f"there are: {known}")
    return list(names or config.notify)


def _try(installation: Installation, name: str) -> TriedReceiver:
    from aemon.notify.receivers.receiver_kinds import receiver_of
    from aemon.notify.sending import send

    config, now = installation.config, installation.clock()
    receiver = receiver_of(config.notify[name])
    page = page_url(config.http.url, config.http.listen, tls=serves_tls(config.http.web_config))
    example = replace(EXAMPLE, page=page, started_at=now, ended_at=now, opened_at=now)
    answer = send(receiver, receiver.payload(example, now), example.id)
    return TriedReceiver(receiver=name, status=answer.status, error=answer.error)
