"""Conversion of a message from the client library's form to aemon's."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import confluent_kafka as ck

from aemon.sources.kafka.messages import Message

MOST_VALUE = 2**20  # bytes; a longer value is cut off, and its message is set aside


def received_message(one: ck.Message, generation: int, now: datetime) -> Message:
    """Return a message of the client library as a `Message`; a long value is cut off.

    Args:
        one: the message, without an error.
        generation: number of the topic's generation.
        now: the time of arrival, for a message without a timestamp.
    """
    kind, milliseconds = one.timestamp()
    value, key = one.value(), one.key()
    headers: list[tuple[str, Any]] = []
    with suppress(UnicodeDecodeError):
        given: Any = one.headers()  # a list of pairs, or None
        headers = list(given or ())
    return Message(
        topic=one.topic() or "",
        partition=one.partition() or 0,
        offset=one.offset() or 0,
        key=None if key is None else bytes(key)[:MOST_VALUE],
        value=None if value is None else bytes(value)[: MOST_VALUE + 1],
        headers=headers,
        timestamp=now
        if kind == ck.TIMESTAMP_NOT_AVAILABLE
        else datetime.fromtimestamp(milliseconds / 1000, UTC),
        generation=generation,
    )
