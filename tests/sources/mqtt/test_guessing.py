from datetime import UTC, datetime, timedelta

import pytest

from aemon.errors import SourceConfigError
from aemon.sources.mqtt.broker_listening import Topic
from aemon.sources.mqtt.guessing import _settings, guesses_of

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def topics_of(**payloads):
    return {
        name.replace("__", "/"): Topic(
            payloads=[payload] * 5,
            arrivals=[START + timedelta(seconds=n) for n in range(5)],
            count=5,
        )
        for name, payload in payloads.items()
    }


def guess(payloads, place="mqtt://broker/#"):
    return guesses_of(topics_of(**payloads), *_settings(place))


@pytest.mark.parametrize(
    ("payloads", "topics", "entity"),
    [
        ({"p__p1__flow": b"1", "p__p2__flow": b"2"}, {"p/+/flow": "flow"}, 1),
        ({"h__temp": b"1", "h__humidity": b"ON"}, {"h/humidity": "humidity", "h/temp": "temp"}, None),
        ({"s__s1": b"1", "s__s2": b"2"}, {"s/+": "value"}, 1),
        ({"h__temp": b"1"}, {"h/temp": "temp"}, None),
        ({"h__$temp": b"1", "h__": b"1"}, {"h/$temp": "temp", "h/": "value"}, None),
        ({"p__a": b'{"x": 1}', "p__b": b'{"x": 2, "y": null}'}, {"p/+": {"x": "$.x", "y": "$.y"}}, 1),
    ],
)  # fmt: skip
def test_forms_of_topics(payloads, topics, entity):
    (monitor,) = guess(payloads).monitors
    assert monitor.source["topics"] == topics
    assert monitor.source.get("entity") == entity


def test_first_levels_are_monitors_of_their_own_and_unreadable_topics_are_named():
    found = guess({"plant__flow": b"1", "office__co2": b"400", "camera": b"\xff\xd8"})
    assert {one.monitor for one in found.monitors} == {"plant", "office"}
    assert found.left == ("camera",)


def test_nothing_that_can_be_read_is_an_error():
    with pytest.raises(SourceConfigError, match="no message holds"):
        guess({"camera": b"\xff\xd8"})


def test_a_password_is_not_written():
    (monitor,) = guess({"a": b"1"}, "mqtt://u:hunter2@broker").monitors
    assert (monitor.source["user"], monitor.source["password"]) == ("u", "${SOURCE_PASSWORD}")
    assert monitor.source["url"] == "mqtt://broker"
