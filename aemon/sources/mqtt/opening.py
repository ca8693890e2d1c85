"""Opens a source of kind mqtt; its client library is an extra of aemon."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.sources.missing_packages import missing_package
from aemon.sources.mqtt.settings import MqttSource

if TYPE_CHECKING:
    from aemon.sources.mqtt.source import Mqtt


def open_source(settings: MqttSource, clock: Clock) -> "Mqtt":
    """Return the stream for some settings; the stream does not listen before the first `take`.

    Raises:
        SourceConfigError: the client library is not installed.
    """
    try:
        from aemon.sources.mqtt.source import Mqtt
    except ModuleNotFoundError as error:
        raise missing_client(error) from None
    return Mqtt(settings, clock)


def missing_client(error: ModuleNotFoundError) -> Exception:
    """Return the error to raise for a missing module.

    If the client library is missing, the error is a configuration error that says what to install.
    """
    return missing_package(error, "mqtt", {"paho": "paho-mqtt"})
