"""Opening a source of kind kafka; its client library is an extra of aemon."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.sources.kafka.settings import KafkaSource

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
        missing = {"confluent_kafka": "confluent-kafka", "fastavro": "fastavro"}
        package = missing.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        raise SourceConfigError(
            f"a source of kind kafka needs {package}, which is not installed",
            todo="pip install 'aemon[kafka]'",
        ) from None
