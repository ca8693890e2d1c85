"""The settings of Kafka's client library, and the translation of its errors to aemon's errors."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.kafka.settings import KafkaSource

SESSION_MILLISECONDS = 20_000
"""A group member that stops without leaving the group is removed from it after this time.

Until then a new member gets none of its partitions."""

REFRESH_MILLISECONDS = 60_000  # topics that match a regular expression are found within this time

FETCHED_KILOBYTES = 16 * 1024  # maximum that the library fetches before it is read

_TODO = "check that the brokers are running, and check host and port"
_REFUSALS: dict[int, tuple[str, str]] = {
    KafkaError._AUTHENTICATION: (  # noqa: SLF001 -- its only name
        "refuses the user",
        "check user, password and sasl",
    ),
    KafkaError._SSL: (  # noqa: SLF001 -- its only name
        "cannot be reached over TLS",
        "check that the port is for TLS, and that ca_file holds the certificate of its authority",
    ),
    KafkaError._INVALID_ARG: (  # noqa: SLF001 -- its only name
        "cannot be used with these settings",
        "check that ca_file, cert_file and key_file are PEM, and that the key has no password",
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: (
        "refuses the user",
        "check user, password and sasl",
    ),
    KafkaError.UNKNOWN_TOPIC_OR_PART: (
        "does not have a topic",
        "check the names under topics",
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "does not let aemon read a topic",
        "allow READ and DESCRIBE on the topic for the user",
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "does not let aemon join the group",
        "allow READ on the group for the user",
    ),
}
"""Errors that a person must fix: error code -> message, and what to do."""


def client_config(settings: KafkaSource, on_error: Callable[[KafkaError], None]) -> dict[str, Any]:
    """Return the settings of the client library.

    Raises:
        SourceConfigError: the path of a certificate or a key is not a file.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.servers),
        "client.id": "aemon",
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # This applies only if the messages at the chosen offset are deleted before reading.
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "session.timeout.ms": SESSION_MILLISECONDS,
        "heartbeat.interval.ms": SESSION_MILLISECONDS // 6,
        "topic.metadata.refresh.interval.ms": REFRESH_MILLISECONDS,
        "reconnect.backoff.max.ms": 5_000,
        "queued.max.messages.kbytes": FETCHED_KILOBYTES,
        "security.protocol": settings.protocol,
        "error_cb": on_error,
    }
    files = {
        "ca_file": "ssl.ca.location",
        "cert_file": "ssl.certificate.location",
        "key_file": "ssl.key.location",
    }
    for name, key in files.items():
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            raise SourceConfigError(f"{name} {path} is not a readable file")
        if path is not None:
            config[key] = str(path)
    if settings.user is not None:
        secret = settings.password.get_secret_value() if settings.password else ""
        config |= {
            "sasl.mechanism": settings.sasl,
            "sasl.username": settings.user,
            "sasl.password": secret,
        }
    return config


def explained(settings: KafkaSource) -> str:
    """Return a short description of the cluster."""
    return f"the Kafka cluster at {', '.join(settings.servers)}"


def problem_of(error: Any, settings: KafkaSource, before: str = "") -> AemonError:
    """Return the error of aemon for an error of the library.

    Args:
        error: error of the library.
        settings: settings of the source.
        before: error text of the last failed connection, which the library reports separately.
    """
    where = explained(settings)
    code = error.code() if isinstance(error, KafkaError) else None
    text = error.str() if isinstance(error, KafkaError) else str(error)
    if code in _REFUSALS:
        what, todo = _REFUSALS[code]
        return SourceConfigError(f"{where} {what}: {text}", todo=todo)
    unreachable = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)  # noqa: SLF001 -- their only names
    if code in unreachable:
        return SourceError(f"{where} cannot be reached: {before or text}", todo=_TODO)
    return SourceError(f"{where} answers with an error: {text}", todo="aemon tries again")
