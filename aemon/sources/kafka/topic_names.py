"""Names and regular expressions of topics, and the newest messages of the topics they mean."""

import re
from collections.abc import Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka import TopicPartition

from aemon.errors import SourceConfigError
from aemon.sources.kafka.connecting import explained
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.source import there


def matching(asked: str, topics: Mapping[str, Any]) -> list[str]:
    """Return the readable topics that a name or a regular expression of the settings means.

    Topics whose names begin with __ belong to the brokers; a regular expression must name them.

    Args:
        asked: a name, or a regular expression that begins with ^.
        topics: name -> metadata of all topics.
    """
    readable = [name for name, one in topics.items() if one.error is None]
    if not asked.startswith("^"):
        return [name for name in readable if name == asked]
    own = [name for name in readable if not name.startswith("__") or asked.startswith("^__")]
    return [name for name in own if re.match(asked, name)]


def newest_messages(
    consumer: ck.Consumer, settings: KafkaSource, count: int, wait_seconds: float
) -> list[TopicPartition]:
    """Return all partitions of the topics, each with the offset of its newest `count` messages.

    Raises:
        SourceConfigError: a topic does not exist, or a regular expression matches no topic.
        ck.KafkaException: the brokers do not answer within `wait_seconds`.
    """
    topics = consumer.list_topics(timeout=wait_seconds).topics
    chosen: dict[str, None] = {}
    for asked in settings.topics:
        found = matching(asked, topics)
        if not found:
            raise missing_topic(asked, topics, settings)
        chosen |= dict.fromkeys(found)
    begins = []
    for topic in chosen:
        for number in topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, number), timeout=wait_seconds, cached=False
            )
            begins.append(TopicPartition(topic, number, max(low, high - count)))
    return begins


def missing_topic(
    asked: str, topics: Mapping[str, Any], settings: KafkaSource
) -> SourceConfigError:
    """Return the error for a topic that does not exist, or a pattern that matches no topic."""
    names = [name for name, one in topics.items() if one.error is None]
    what = f"topic that matches {asked}" if asked.startswith("^") else f"topic {asked}"
    return SourceConfigError(
        f"{explained(settings)} has no {what}, or does not let aemon read it: "
        f"{there([name for name in names if not name.startswith('__')], asked)}"
    )
