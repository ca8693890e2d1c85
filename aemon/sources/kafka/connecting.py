"""How the client library is set up, and what its errors mean for a person."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.kafka.settings import KafkaSource

SESSION_MILLISECONDS = 20_000
"""After so long a member that died without a word is taken for gone; its successor waits for that."""

FETCHED_KILOBYTES = 16 * 1024  # fetched by the library ahead of what is asked of it

_TODO = "see whether the brokers run, and whether host and port are right"
_REFUSALS: dict[int, tuple[str, str]] = {
    KafkaError._AUTHENTICATION: (  # noqa: SLF001 -- that is its name
        "refuses the user",
        "see whether user, password and sasl are right",
    ),
    KafkaError._SSL: (  # noqa: SLF001 -- that is its name
        "cannot be reached over TLS",
        "see whether the port is one for TLS, and ca_file the certificate of its authority",
    ),
    KafkaError._INVALID_ARG: (  # noqa: SLF001 -- that is its name
        "cannot be asked with these settings",
        "see whether ca_file, cert_file and key_file hold what they should, as PEM without a password",
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: (
        "refuses the user",
        "see whether user, password and sasl are right",
    ),
    KafkaError.UNKNOWN_TOPIC_OR_PART: (
        "does not have a topic",
        "see whether the names under topics are right",
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
"""Errors that a person must do something about."""


def client_config(settings: KafkaSource, on_error: Callable[[KafkaError], None]) -> dict[str, Any]:
    """Return the settings of the client library.

    Raises:
        SourceConfigError: a certificate or a key is no file.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.servers),
        "client.id": "aemon",
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Offsets are looked up; this one counts where the messages there are gone by then.
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "session.timeout.ms": SESSION_MILLISECONDS,
        "heartbeat.interval.ms": SESSION_MILLISECONDS // 6,
        "topic.metadata.refresh.interval.ms": 60_000,
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
            raise SourceConfigError(f"{name} {path} is no file that can be read")
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
    """Return the cluster in a few words."""
    return f"the Kafka cluster at {', '.join(settings.servers)}"


def problem_of(error: Any, settings: KafkaSource, before: str = "") -> AemonError:
    """Return an error of the library in words.

    Args:
        error: of the library.
        settings: of the source.
        before: what was said of the last connection that failed; the library tells that apart.
    """
    where = explained(settings)
    code = error.code() if isinstance(error, KafkaError) else None
    told = error.str() if isinstance(error, KafkaError) else str(error)
    if code in _REFUSALS:
        what, todo = _REFUSALS[code]
        return SourceConfigError(f"{where} {what}: {told}", todo=todo)
    if code == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 -- that is its name
        return SourceError(f"{where} cannot be reached: {before or told}", todo=_TODO)
    return SourceError(f"{where} does not answer as it should: {told}", todo="aemon tries again")
