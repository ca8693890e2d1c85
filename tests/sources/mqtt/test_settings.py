"""What a source of kind mqtt may be told."""

import pytest
from pydantic import ValidationError

from aemon.config.source_settings import identity
from aemon.sources.json_paths import ABSENT, read_path, value_at
from aemon.sources.json_values import MOST_COLUMNS, UnreadableMessageError
from aemon.sources.mqtt.messages import MessageReader
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.mqtt.topics import TopicFilter, check_filter

PLAIN = {"kind": "mqtt", "url": "mqtt://broker", "topics": {"a/+": "flow"}}


def settings(**more):
    return MqttSource.model_validate(PLAIN | more)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "http://broker"}, "is not an address of a broker"),
        ({"url": "mqtt://me:hunter2@broker"}, "write them under user and password"),
        ({"url": f"mqtt://{'x' * 80}"}, "is not an address of a broker"),
        ({"url": "mqtt://broker/topic"}, "give topics under topics"),
        ({"topics": {}}, "at least 1 item"),
        ({"topics": {"a/b+": "x"}}, r"\+ stands for a whole level"),
        ({"topics": {"a/#/b": "x"}}, "# must be the whole last level"),
        ({"topics": {"a/b#": "x"}}, "# must be the whole last level"),
        ({"topics": {"$share/g/a": "x"}}, "cannot be shared"),
        ({"topics": {"a": {"x": "flow"}}}, r"must begin with \$"),
        (
            {"topics": {"a": {"x": "$..flow"}}},
            "wildcards, slices, filters and .. are not supported",
        ),
        ({"topics": {"a": "$.x[*]"}}, "wildcards"),
        ({"topics": {"a/+": 2}}, "a/\\+ has no level 2"),
        ({"entity": 2}, "has no level 2: levels are counted from 0, and the first is a"),
        ({"entity": "$.id"}, "are plain values; write {column"),
        ({"time": "$.ts"}, "are plain values"),
        ({"topics": {"a": "$"}, "key": "$.id", "every": "10s"}, "leave key or every out"),
        ({"bucket": "1m", "wait": "5s"}, "give bucket its wait"),
        ({"bucket": "1m", "every": "10s"}, "without pivot and bucket"),
        ({"gaps": {"flow": "missing"}}, "needs pivot or bucket too"),
        ({"password": "hunter2"}, "needs a user too"),
        ({"ca_file": "ca.crt"}, "has no effect without TLS"),
        ({"url": "mqtts://broker", "cert_file": "c.pem"}, "needs the other file"),
        ({"version": 4}, "5"),
    ],
)
def test_a_mistake_is_told_without_secrets(given, told):
    with pytest.raises(ValidationError, match=told) as caught:
        settings(**given)
    assert "hunter2" not in str(caught.value)


def test_ports_and_joining_have_sensible_defaults():
    assert (settings().port, settings().joined_every) == (1883, None)
    assert settings(url="mqtts://broker").port == 8883
    assert settings(topics={"a": "x", "b": "y"}).joined_every.total_seconds() == 10
    assert settings(topics={"a/+": 1}).joined_every.total_seconds() == 10
    assert settings(topics={"a": "x", "b": "y"}, every="1m").joined_every.total_seconds() == 60


def test_its_inbox_stays_the_same_whatever_is_changed():
    changed = settings(topics={"b": "x"}, user="me", password="hunter2", qos=0, entity=0)
    assert identity(changed) == identity(settings()) == '{"kind":"mqtt"}'
    assert "hunter2" not in repr(changed)


@pytest.mark.parametrize(
    ("text", "topic", "matches"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/c/d", False),
        ("a/+", "a/", True),
        ("+", "$SYS", False),
        ("$SYS/#", "$SYS/broker/load", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("a", "A", False),
    ],
)
def test_filters_match_as_the_protocol_says(text, topic, matches):
    assert TopicFilter.of(check_filter(text)).matches(tuple(topic.split("/"))) is matches


def test_a_path_leads_to_one_value_or_nowhere():
    document = {"a b": [{"c": None}], "0": 1}
    assert value_at(read_path("$['a b'][0].c"), document) is None
    assert value_at(read_path("$.größe"), {"größe": 1}) == 1
    assert value_at(read_path("$[0]"), document) is ABSENT
    assert value_at(read_path("$['a b'][7]"), document) is ABSENT
    assert value_at(read_path("$.x"), [1]) is ABSENT


def test_payloads_that_nobody_expects_are_read_or_refused():
    reader = MessageReader(settings())
    read = lambda payload: reader.read("a/b", payload).columns["flow"]  # noqa: E731
    assert read(b" 4.5\n") == 4.5
    assert read(b"1" * 30) == float("1" * 30)
    assert read(b"1" * 400) is None
    assert read(b"1" * 5000) == "1" * 5000
    assert read(b"-Infinity") is None
    assert read("12 °C".encode()) == "12 °C"
    for payload, reason in ((b"", "no_value"), (b"[1]", "not_plain"), (b"\xff", "not_text")):
        with pytest.raises(UnreadableMessageError, match=reason):
            read(payload)
    with pytest.raises(UnreadableMessageError, match="not_json"):
        MessageReader(settings(topics={"a/+": "$"})).read("a/b", b"[" * 100_000)


def test_so_many_columns_and_no_more_come_from_messages():
    reader = MessageReader(settings(topics={"a/+": 1}))
    for number in range(MOST_COLUMNS):
        reader.read(f"a/{number}", b"1")
    with pytest.raises(UnreadableMessageError, match="too_many_columns"):
        reader.read("a/new", b"1")
    assert reader.read("a/7", b"2").columns == {"7": 2}
