"""Monitors for an MQTT broker, guessed from the messages of a few seconds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import SecretStr, ValidationError

from aemon.clock import format_duration
from aemon.errors import SourceConfigError
from aemon.sources.guesses import MOST_GUESSED, Guess, Guesses, guess_labels, monitor_name
from aemon.sources.mqtt.opening import missing_client
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.mqtt.topic_groups import TopicGroup, groups_of

if TYPE_CHECKING:
    from aemon.sources.mqtt.broker_listening import Topic

PASSWORD = "${SOURCE_PASSWORD}"  # noqa: S105 -- a placeholder
_STEPS = [timedelta(seconds=s) for s in (1, 2, 5, 10, 30, 60, 300, 900, 3600)]
_LEAST_SCORE_EVERY = timedelta(seconds=10)


def guess_topics(place: str, seconds: float) -> Guesses:
    """Return monitors for the topics of the messages that arrive, the busiest monitor first.

    Args:
        place: `mqtt://host[:port]/topic-filter`, with a user and a password if the broker needs
            them. Without a filter, all topics are used.
        seconds: how long to listen.

    Raises:
        SourceError: the broker cannot be reached.
        SourceConfigError: the address is wrong, the broker refuses the connection or the topics,
            or no message came.
    """
    settings, topic_filter = _settings(place)
    try:
        from aemon.sources.mqtt.broker_listening import listen
    except ModuleNotFoundError as error:
        raise missing_client(error) from None
    return guesses_of(listen(settings, seconds), settings, topic_filter)


def guesses_of(topics: Mapping[str, "Topic"], settings: MqttSource, topic_filter: str) -> Guesses:
    """Return monitors for topics.

    Topics with the same first level and the same entity level share a monitor, unless a JSON value
    names their entity.

    Args:
        topics: topic -> its messages.
        settings: settings with which the messages were received.
        topic_filter: filter of the topics.
    """
    monitors: dict[tuple[str, int | None, str], list[TopicGroup]] = defaultdict(list)
    left: list[str] = []
    for group in groups_of(topics, topic_filter):
        if not group.values:
            left += group.topics
            continue
        alone = "" if group.entity_path is None else group.topic
        monitors[group.topic.split("/")[0], group.entity_level, alone].append(group)
    if not monitors:
        raise SourceConfigError(
            f"{settings.url}: no message holds a number, a text or a JSON object: "
            f"{', '.join(sorted(topics)[:10])}",
            todo="write another topic after the port",
        )
    ordered = sorted(monitors.values(), key=lambda groups: -sum(one.count for one in groups))
    found: list[Guess] = []
    for groups in ordered[:MOST_GUESSED]:
        found.append(_monitor(groups, settings, [one.monitor for one in found]))
    left += [one.topic for groups in ordered[MOST_GUESSED:] for one in groups]
    return Guesses(monitors=tuple(found), left=tuple(left))


def _monitor(groups: Sequence[TopicGroup], settings: MqttSource, taken: Sequence[str]) -> Guess:
    first = groups[0]
    source: dict[str, object] = {"kind": "mqtt", "url": settings.url}
    because: dict[str, str] = {}
    if settings.user is not None:
        source["user"] = settings.user
    if settings.password is not None:
        source["password"], because["password"] = PASSWORD, "set SOURCE_PASSWORD in the environment"
    values: dict[str, object] = {}
    for group in groups:
        values |= group.values
    source["topics"] = values
    messages, topics = sum(one.count for one in groups), sum(len(one.topics) for one in groups)
    because["topics"] = f"{messages} messages on {topics} topics"
    if first.entity_level is not None:
        source["entity"] = first.entity_level
        because["entity"] = _some(
            f"level {first.entity_level} of the topic, counted from 0", first.entities
        )
    elif first.entity_path is not None:
        source["entity"] = first.entity_path
        because["entity"] = _some("a value of the messages", first.entities)
    times = {group.time_path for group in groups}
    if None not in times and len(times) == 1:
        source["time"] = first.time_path
        because["time"] = first.time_because
    pause = _pause(groups)
    notes = ["times of arrival are the event times"] if "time" not in source else []
    if len(values) > 1:
        source["every"] = format_duration(pause)
        because["every"] = "the last values of all columns within this time make one record"
    score_every = max(pause, _LEAST_SCORE_EVERY)
    because["score_every"] = f"a topic has a message about every {format_duration(pause)}"
    labels = [name for one in groups if one.table is not None for name in guess_labels(one.table)]
    fixed = [level for level in first.topic.split("/") if level != "+"]
    return Guess(
        monitor=monitor_name("_".join(fixed[:1]) or "messages", taken),
        source=source,
        because=because,
        score_every=score_every,
        notes=tuple(notes),
        exclude=tuple(labels),
    )


def _some(reason: str, entities: Sequence[str]) -> str:
    shown = ", ".join(sorted(entities)[:3])
    return f"{reason}; {len(entities)} different: {shown}{', ...' if len(entities) > 3 else ''}"  # noqa: PLR2004


def _pause(groups: Sequence[TopicGroup]) -> timedelta:
    """Return the usual time between two messages of one topic, rounded up to a round number."""
    pauses = [
        median((later - earlier).total_seconds() for earlier, later in pairwise(arrivals))
        for group in groups
        for arrivals in group.arrivals
        if len(arrivals) > 1
    ]
    usual = timedelta(seconds=median(pauses)) if pauses else timedelta(seconds=10)
    return next((step for step in _STEPS if step >= 0.9 * usual), _STEPS[-1])


def _settings(place: str) -> tuple[MqttSource, str]:
    """Return the source settings for listening at an address, and the topic filter in it."""
    scheme, _, rest = place.partition("://")
    netloc, _, topic_filter = rest.partition("/")
    topic_filter = topic_filter or "#"
    named, _, host = netloc.rpartition("@")
    user, _, password = named.partition(":")
    # Payloads are not read by these settings, so the rule `$` is right for every topic.
    keys: dict[str, object] = {
        "url": f"{scheme}://{host}", "topics": {topic_filter: "$"}, "qos": 0,
        "user": unquote(user) or None,
        "password": SecretStr(unquote(password)) if password else None,
    }  # fmt: skip
    try:
        return MqttSource.model_validate(keys), topic_filter
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SourceConfigError(
            f"the address: {told}", todo="write mqtt://host:1883/plant/#"
        ) from None
