"""Opening a source of kind kafka; its client library is an extra of aemon."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.missing_packages import missing_package

if TYPE_CHECKING:
    from aemon.sources.kafka.source import Kafka


def open_source(settings: KafkaSource, clock: Clock) -> "Kafka":
    """Return the stream for some settings; the stream does not listen before the first `take`.

    Raises:
        SourceConfigError: a library is not installed, or the Avro schema cannot be read.
    """
    try:
        from aemon.sources.kafka.source import Kafka

        return Kafka(settings, clock)
    except ModuleNotFoundError as error:
        packages = {"confluent_kafka": "confluent-kafka", "fastavro": "fastavro"}
        raise missing_package(error, "kafka", packages) from None
