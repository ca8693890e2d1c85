"""Listens to a broker for a few seconds; a first configuration is guessed from the messages."""

import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from aemon.clock import utc_now
from aemon.errors import SourceConfigError
from aemon.sources.mqtt.connection import BrokerConnection
from aemon.sources.mqtt.settings import MqttSource

MOST_TOPICS = 5_000
MOST_OF_A_TOPIC = 200
"""Largest number of messages kept for each topic; further messages are only counted."""

_LOOK_EVERY_SECONDS = 0.05
_CONNECT_SECONDS = 15.0


@dataclass(slots=True)
class Topic:
    """The messages that arrived on one topic.

    Attributes:
        payloads: payloads of the first messages, in order of arrival.
        arrivals: time of arrival of each of these messages.
        count: number of all messages on the topic.
    """

    payloads: list[bytes] = field(default_factory=list)
    arrivals: list[datetime] = field(default_factory=list)
    count: int = 0


def listen(settings: MqttSource, seconds: float) -> Mapping[str, Topic]:
    """Return topic -> the messages that arrive within `seconds`, without retained messages.

    Raises:
        SourceError: the broker cannot be reached.
        SourceConfigError: the broker refuses the connection or the topics, or no message came.
    """
    topics: dict[str, Topic] = {}
    pause = threading.Event()
    with closing(BrokerConnection(settings, utc_now)) as connection:
        connection.listen(f"aemon-init-{secrets.token_hex(6)}", keep_session=False)
        end = time.monotonic() + _CONNECT_SECONDS + seconds
        subscribed = False
        while time.monotonic() < end:
            if connection.problem is not None:
                raise connection.problem
            if connection.subscribed_since is not None and not subscribed:
                subscribed, end = True, time.monotonic() + seconds
            deliveries, more = connection.deliveries.take(1_000)
            for one in deliveries:
                if one.topic in topics or len(topics) < MOST_TOPICS:
                    _add(topics.setdefault(one.topic, Topic()), one.payload, one.arrived)
            connection.deliveries.done(deliveries)
            if not more:
                pause.wait(_LOOK_EVERY_SECONDS)
    if not topics:
        names = ", ".join(settings.topics)
        raise SourceConfigError(
            f"{settings.url}: no message came on {names} in {seconds:g} s",
            todo="listen longer (--listen 60), or check that the topics are right: "
            f"mosquitto_sub -h {settings.address.hostname} -p {settings.port} -t '#' -v",
        )
    return topics


def _add(topic: Topic, payload: bytes, arrived: datetime) -> None:
    topic.count += 1
    if len(topic.payloads) < MOST_OF_A_TOPIC:
        topic.payloads.append(payload)
        topic.arrivals.append(arrived)
