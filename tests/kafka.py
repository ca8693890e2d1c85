"""A Kafka cluster for tests: the mock within the client library, for no broker can be installed here.

The mock speaks the protocol over real sockets, with consumer groups and committed offsets. It is set
up through the C interface of librdkafka (rdkafka_mock.h), which also takes its broker down and up.
"""

import ctypes
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self

import confluent_kafka
from confluent_kafka import Producer

from aemon.sources.kafka import connecting

_OK = 0
_PRODUCER = 0  # of rd_kafka_type_t


@cache
def _library() -> Any:
    """The librdkafka that the client library brings along."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*.so*"))))
    for name in ("conf_new", "new", "mock_cluster_new", "mock_cluster_bootstraps"):
        getattr(library, f"rd_kafka_{name}").restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class MockCluster:
    """A cluster of one broker with a topic, and somebody who writes to the topic."""

    def __init__(self, topic: str = "readings", partitions: int = 1) -> None:
        library = self._library = _library()
        error = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(library.rd_kafka_conf_new())
        self._client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, error, len(error)))
        assert self._client, error.value
        self._cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(self._client, 1))
        self.servers = [library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()]
        library.rd_kafka_mock_set_controller_id(self._cluster, 1)  # it knows the ids of topics
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.topic = topic
        self.make_topic(topic, partitions)
        self.producer = Producer(
            {
                "bootstrap.servers": self.servers[0],
                "linger.ms": 0,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def make_topic(self, topic: str, partitions: int) -> None:
        done = self._library.rd_kafka_mock_topic_create(
            self._cluster, topic.encode(), partitions, 1
        )
        assert done == _OK

    def delete_topic(self, topic: str) -> None:
        assert self._library.rd_kafka_mock_topic_delete(self._cluster, topic.encode()) == _OK

    def go_down(self) -> None:
        """Close the broker's connections, and take no more."""
        assert self._library.rd_kafka_mock_broker_set_down(self._cluster, 1) == _OK

    def come_up(self) -> None:
        assert self._library.rd_kafka_mock_broker_set_up(self._cluster, 1) == _OK

    def say(self, *values: bytes | str | None, partition: int = 0, **more: Any) -> None:
        """Write messages to one partition; return when the broker has them."""
        for value in values:
            self.producer.produce(self.topic, value=value, partition=partition, **more)
        self.flush()

    def say_all(self, messages: Iterable[dict[str, Any]]) -> None:
        for one in messages:
            self.producer.produce(self.topic, **{"partition": 0, **one})
            self.producer.poll(0)
        self.flush()

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    def close(self) -> None:
        self.producer.purge()
        del self.producer
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def quick_sessions() -> Iterator[None]:
    """Let consumers made meanwhile be given up soon: the mock does so even after a proper leave."""
    usual = connecting.SESSION_MILLISECONDS
    connecting.SESSION_MILLISECONDS = 1_000
    try:
        yield
    finally:
        connecting.SESSION_MILLISECONDS = usual
