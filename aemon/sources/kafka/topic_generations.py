"""Generations of topics: a topic that is deleted and made again has the same offsets again.

The brokers give each making of a topic another id (KIP-516, Kafka 2.8). A new generation gets keys
of its own, so that its records do not collide with those of the old topic.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from aemon.logs import Action, log

ASK_SECONDS = 5.0
_NO_ID = ("", "AAAAAAAAAAAAAAAAAAAAAA")  # older brokers give no id, or one of zeros
_SHARED = ("bootstrap.servers", "client.id", "security.protocol")
_SHARED_PREFIXES = ("ssl.", "sasl.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """A making of a topic: its number, counted from 1, and its id; empty if it is unknown."""

    number: int = 1
    id: str = ""


class TopicGenerations:
    """The generations of the topics that a monitor has read.

    Args:
        where: short description of the cluster, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._known: dict[str, Generation] = {}
        self._suspected: set[str] = set()

    def restore(self, notes: Sequence[str]) -> None:
        """Restore the generations from the newest note of an earlier process."""
        note = json.loads(notes[-1]) if notes else {}
        for topic, (number, identity) in note.get("topics", {}).items():
            self._known[topic] = Generation(int(number), str(identity))
        for topic in note.get("next", {}):
            self._known.setdefault(topic, Generation())

    def noted(self) -> dict[str, list[int | str]]:
        """Return the generations for a note: topic -> number and id."""
        return {topic: [one.number, one.id] for topic, one in sorted(self._known.items())}

    def number(self, topic: str) -> int:
        """Return the number of the generation of a topic that is read now."""
        return self._known.get(topic, Generation()).number

    def suspect(self, topic: str) -> None:
        """Note that the offsets of a topic went back; `renew` then decides."""
        self._suspected.add(topic)

    def is_other(self, ids: Mapping[str, str]) -> bool:
        """Return whether the id of a topic differs from the known id."""
        return any(
            topic in self._known and self._known[topic].id and self._known[topic].id != identity
            for topic, identity in ids.items()
        )

    def renew(
        self,
        topics: Collection[str],
        ids: Mapping[str, str],
        behind: Collection[str],
        *,
        moved: bool,
    ) -> set[str]:
        """Begin a new generation of each topic that was made again; return these topics.

        Args:
            topics: topics to read from now on.
            ids: their ids; a topic without an id is missing.
            behind: topics with fewer messages than were read. Without an id, such a topic counts
                as made again.
            moved: whether another cluster answers at the same address.
        """
        again = set()
        for topic in topics:
            known, identity = self._known.get(topic), ids.get(topic, "")
            if known is None:
                self._known[topic] = Generation(1, identity)
                continue
            if known.id and identity:
                is_other = known.id != identity
            else:
                is_other = moved or topic in behind or topic in self._suspected
            number = known.number + is_other
            self._known[topic] = Generation(number, identity or ("" if is_other else known.id))
            if is_other:
                again.add(topic)
                log(
                    logger,
                    logging.WARNING,
                    Action.TOPIC_RENEWED,
                    f"{self._where}: the topic {topic} was deleted and made again, or is on another "
                    "cluster. aemon reads all its messages from the oldest one. Unread messages of "
                    f"the old topic are lost. Keys of new records begin with {topic}#{number}",
                    topic=topic,
                    generation=number,
                )
        self._suspected -= set(topics)
        return again


def topic_ids(config: Mapping[str, Any], topics: Collection[str]) -> dict[str, str]:
    """Ask the brokers for the ids of topics; leave out a topic without an answer or an id.

    Args:
        config: settings of the client library.
        topics: names of the topics.
    """
    if not topics:
        return {}
    shared: dict[str, Any] = {
        name: value
        for name, value in config.items()
        if name in _SHARED or name.startswith(_SHARED_PREFIXES)
    }
    found: dict[str, str] = {}
    try:
        admin = AdminClient(shared | {"error_cb": _ignore, "log_level": 0})
        answers = admin.describe_topics(
            ck.TopicCollection(sorted(topics)), request_timeout=ASK_SECONDS
        )
    except (ck.KafkaException, ValueError):
        return {}
    for topic, answer in answers.items():
        try:
            identity = str(answer.result(ASK_SECONDS + 1).topic_id)
        except (ck.KafkaException, TimeoutError):
            continue
        if identity not in _NO_ID:
            found[topic] = identity
    return found


def _ignore(_error: ck.KafkaError) -> None:
    """Do nothing: the consumer reports the errors of the connection."""
