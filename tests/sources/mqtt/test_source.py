"""A stream of MQTT messages, from a real broker."""

import json
import time
from datetime import UTC, datetime

import pytest

from aemon.clock import utc_now
from aemon.errors import SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.mqtt.source import Mqtt
from tests.mosquitto import Mosquitto, cut, publisher
from tests.processes import free_port


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def say(broker):
    with publisher(broker.port) as publishing:
        yield publishing.say


@pytest.fixture
def listen(broker):
    """Return a stream that listens by these settings."""
    opened = []

    def listen(**more):
        given = {"url": broker.url, "topics": {"plant/+/flow": "flow"}, "entity": 1, **more}
        stream = Mqtt(MqttSource.model_validate(given), utc_now)
        opened.append(stream)
        stream.take(1)
        wait_for(lambda: stream._connection.subscribed_since)
        return stream

    yield listen
    for stream in opened:
        stream.close()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def taken(stream, count):
    """So many records, and what else came with them."""
    frames, set_aside = [], []
    deadline = time.monotonic() + 20
    while sum(map(len, frames)) + len(set_aside) < count and time.monotonic() < deadline:
        arrived = stream.take(1000)
        set_aside += [(one.reason, json.loads(one.text)) for one in arrived.set_aside]
        if len(arrived.table):
            frames.append(check_frame(arrived.table, stream.roles))
        time.sleep(0.01)
    values = [row for frame in frames for row in frame.values.to_dict("records")]
    entities = [entity for frame in frames for entity in frame.entities]
    return list(zip(entities, values, strict=True)), set_aside


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_a_message_is_a_record_of_the_thing_that_its_topic_names(listen, say, version):
    stream = listen(version=version)
    say("plant/p1/flow", "4.5")
    say("plant/p2/flow", "5", qos=0)
    say("plant/p2/level", "6")
    records, set_aside = taken(stream, 2)
    assert records == [("p1", {"flow": 4.5}), ("p2", {"flow": 5})]
    assert set_aside == []


def test_json_has_columns_an_entity_and_the_event_time(listen, say):
    stream = listen(
        topics={"plant/#": {"flow": "$.flow", "p": "$.in['p bar'][0]"}}, entity="$.id", time="$.ts"
    )
    say("plant/x", json.dumps({"id": 7, "ts": "2026-03-01T10:00:00+01:00", "flow": 1,
                               "in": {"p bar": [2.5]}}))  # fmt: skip
    wait_for(lambda: stream._connection.deliveries._waiting)
    frame = check_frame(stream.take(10).table, stream.roles)
    assert frame.entities.tolist() == ["7"]
    assert frame.aware_time(0) == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert frame.values.to_dict("records") == [{"flow": 1, "p": 2.5}]


def test_every_plain_member_of_an_object_is_a_column(listen, say):
    stream = listen(topics={"zigbee/+": "$", "tele/+": "$.ENERGY"}, every="50ms", wait="10ms")
    say("zigbee/p1", '{"t": 21.5, "on": true, "update": {"state": "idle"}}')
    records, set_aside = taken(stream, 1)
    assert records[0][1] == {"t": 21.5, "on": True}
    assert set_aside == []


def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(listen, say):
    stream = listen(topics={"plant/+": {"flow": "$.flow", "p": "$.p"}})
    say("plant/p1", "no JSON")
    say("plant/p1", b"\xff\xfe")
    say("plant/p1", '{"other": 1}')
    say("plant/p1", '{"flow": {"deep": 1}, "p": 2}')
    say("plant/p1", '{"flow": NaN, "p": 3}')
    records, set_aside = taken(stream, 6)
    assert [values["p"] for _, values in records] == [2, 3]
    assert set_aside == [
        ("not_json", {"topic": "plant/p1", "payload": "no JSON"}),
        ("not_text", {"topic": "plant/p1", "payload": "\\xff\\xfe"}),
        ("no_value", {"topic": "plant/p1", "payload": '{"other": 1}'}),
        ("not_plain", {"topic": "plant/p1", "payload": '{"flow": {"deep": 1}, "p": 2}'}),
    ]


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_retained_messages_are_old_and_taken_only_on_request(listen, say, version):
    say("plant/p1/flow", "1", retain=True)
    without, with_old = listen(version=version), listen(version=version, retained=True)
    say("plant/p1/flow", "2")
    assert [values for _, values in taken(without, 1)[0]] == [{"flow": 2}]
    assert [values for _, values in taken(with_old, 2)[0]] == [{"flow": 1}, {"flow": 2}]


@pytest.fixture
def inbox_of(broker, store):
    """Return an inbox as a daemon has it; each is a new process to the broker."""
    opened = []

    def inbox_of(**more):
        given = {"url": broker.url, "topics": {"plant/+/flow": "flow"}, "entity": 1, **more}
        inbox = Inbox(
            lambda: Mqtt(MqttSource.model_validate(given), utc_now), store, "pumps", keep=10_000
        )
        opened.append(inbox)
        return inbox

    yield inbox_of
    for inbox in opened:
        inbox.close()


def flows(store):
    fetched = InboxRecords(store, "pumps").fetch(None, 100_000).table
    return fetched["flow"].tolist() if len(fetched) else []


def stored(inbox, store, count):
    """Write what arrives until so many records are stored; return all of them."""
    deadline = time.monotonic() + 20
    while len(flows(store)) < count and time.monotonic() < deadline:
        inbox.write_arrived()
        time.sleep(0.02)
    return flows(store)


def connected(inbox):
    inbox.write_arrived()
    stream = inbox._stream
    if stream._connection._client is None:  # the name was kept first
        inbox.write_arrived()
    wait_for(lambda: stream._connection.subscribed_since)
    return stream


def die(inbox):
    """End as after kill -9: nothing is written or acknowledged any more."""
    cut(inbox._stream._connection)
    inbox._closed = True


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_messages_while_nobody_listens_wait_at_the_broker(inbox_of, store, say, version):
    first = inbox_of(version=version)
    connected(first)
    say("plant/p1/flow", "1")
    wait_for(lambda: first._stream._connection.deliveries._waiting)
    first.close()
    assert flows(store) == [1]
    say("plant/p1/flow", "2")
    second = inbox_of(version=version)
    connected(second)
    assert stored(second, store, 2) == [1, 2]
    assert second.take_rejected() == {}


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_what_was_stored_and_not_acknowledged_is_not_doubled(inbox_of, store, say, version):
    first = inbox_of(version=version)
    stream = connected(first)
    stream._connection.deliveries._acknowledge = lambda packet: None  # they get lost
    for number in range(5):
        say("plant/p1/flow", "7" if number < 3 else str(number))
    wait_for(lambda: len(stream._connection.deliveries._waiting) == 5)
    first.write_arrived()
    die(first)
    say("plant/p1/flow", "7")
    second = inbox_of(version=version)
    connected(second)
    assert stored(second, store, 6) == [7, 7, 7, 3, 4, 7]
    # All of them are acknowledged now: nothing comes again
    second.close()
    third = connected(inbox_of(version=version))
    assert not third._connection.deliveries._waiting


def test_what_was_taken_and_not_stored_comes_again(inbox_of, store, say):
    first = inbox_of()
    stream = connected(first)
    say("plant/p1/flow", "1")
    wait_for(lambda: stream._connection.deliveries._waiting)
    stream.take(10)  # and never written
    die(first)
    second = inbox_of()
    connected(second)
    assert stored(second, store, 1) == [1]


def test_a_broker_that_restarts_loses_and_doubles_nothing(inbox_of, store, broker):
    inbox = inbox_of()
    stream = connected(inbox)
    with publisher(broker.port) as publishing:
        publishing.say_all((f"plant/p{n % 3}/flow", str(n)) for n in range(300))
    wait_for(lambda: len(stream._connection.deliveries._waiting) == 300)
    broker.stop()
    wait_for(lambda: stream._connection.problem)
    broker.start()
    wait_for(lambda: stream._connection.subscribed_since)
    with publisher(broker.port) as publishing:
        publishing.say_all((f"plant/p{n % 3}/flow", str(n)) for n in range(300, 400))
    assert stored(inbox, store, 400) == list(range(400))
    assert inbox.take_rejected() == {}


def test_a_full_inbox_makes_the_broker_wait(listen, broker, monkeypatch):
    monkeypatch.setattr("aemon.sources.mqtt.deliveries.MOST_UNKEPT", 10)
    stream = listen(version="3.1.1")
    with publisher(broker.port) as publishing:
        publishing.say_all(("plant/p1/flow", str(n)) for n in range(100))
    seen, pieces = [], []
    deadline = time.monotonic() + 20
    while len(seen) < 100 and time.monotonic() < deadline:
        arrived = stream.take(1000)
        pieces.append(len(arrived.table))
        seen += arrived.table["flow"].tolist() if len(arrived.table) else []
        arrived.done()
        time.sleep(0.001)
    assert seen == list(range(100))
    assert max(pieces) <= 10


def test_a_broker_that_is_not_there_is_told_with_its_address():
    url = f"mqtt://127.0.0.1:{free_port()}"
    stream = Mqtt(MqttSource(url=url, topics={"a": "flow"}), utc_now)
    with pytest.raises(SourceError, match=f"{url} cannot be reached: Connection refused"):
        wait_for(lambda: stream.take(1).more)
    stream.close()
    assert len(stream.take(1).table) == 0


@pytest.mark.parametrize("version", [5, "3.1.1"])
def test_wrong_credentials_are_told_without_them(tmp_path, version):
    passwords = tmp_path / "passwords"
    passwords.write_text("aemon:$7$101$invalid$invalid\n")
    with Mosquitto(tmp_path / "broker", [f"password_file {passwords}"], anonymous=False) as broker:
        given = {"url": broker.url, "topics": {"a": "flow"}, "version": version,
                 "user": "aemon", "password": "hunter2"}  # fmt: skip
        stream = Mqtt(MqttSource.model_validate(given), utc_now)
        with pytest.raises(SourceConfigError, match=r"refuses: .*user and password") as caught:
            wait_for(lambda: stream.take(1).more)
        assert "hunter2" not in str(caught.value)
        stream.close()


def test_values_of_one_time_on_several_topics_make_a_record_once_it_is_over(inbox_of, store, say):
    inbox = inbox_of(
        topics={"plant/+/flow": "flow", "plant/+/+/level": 2, "plant/+/state": {"p": "$.p"}},
        every="300ms", wait="50ms",
    )  # fmt: skip
    connected(inbox)
    inbox.listen()
    sent = time.monotonic()
    say("plant/p1/flow", "1")
    say("plant/p1/flow", "2")
    say("plant/p1/tank/level", "3")
    say("plant/p2/state", '{"p": 4, "q": 5}')
    quick = time.monotonic() - sent < 0.05
    source = InboxRecords(store, "pumps")
    wait_for(lambda: set(source.fetch(None, 100).table.get("entity", [])) == {"p1", "p2"})
    inbox.close(10)
    found = source.fetch(None, 100).table
    assert found["flow"].max() == 2
    assert set(found["p"].dropna()) == {4}
    if quick:  # else they may lie in two times
        assert len(found) <= 4


def test_parts_of_a_record_by_event_times_are_joined_over_a_crash_and_finished_later(
    inbox_of, store, say
):
    given = {"topics": {"a": {"x": "$.x"}, "b": {"y": "$.y"}, "c": {"x": "$.x"}},
             "time": "$.t", "entity": None, "every": "10s", "wait": "10ms"}  # fmt: skip
    first = inbox_of(**given)
    stream = connected(first)
    say("a", '{"x": 1, "t": "2026-03-01T10:00:01Z"}')
    wait_for(lambda: stream._connection.deliveries._waiting)
    first.write_arrived()
    die(first)
    assert InboxRecords(store, "pumps").count(10) == 0
    say("b", '{"y": 2, "t": "2026-03-01T10:00:09Z"}')
    say("c", '{"x": 3, "t": "2026-03-01T10:00:05+00:00"}')
    say("b", '{"y": 9, "t": "2026-03-01T10:00:10Z"}')
    say("b", '{"y": 9, "t": "soon"}')
    second = inbox_of(**given)
    stream = connected(second)
    wait_for(lambda: second.write_arrived() is not None and second._rejected["no_time"])
    stream._every = stream._settings.wait  # time passes
    wait_for(lambda: second.write_arrived() is not None and len(flows_of(store)) == 2)
    assert flows_of(store) == [
        {"event_time": "2026-03-01 10:00:00", "x": 3, "y": 2},
        {"event_time": "2026-03-01 10:00:10", "y": 9},
    ]


def flows_of(store):
    rows = InboxRecords(store, "pumps").fetch(None, 100).table.to_dict("records")
    names = ("x", "y")
    return [
        {"event_time": f"{row['event_time']:%Y-%m-%d %H:%M:%S}"}
        | {name: row[name] for name in names if row.get(name) == row.get(name)}
        for row in rows
    ]


def test_a_topic_that_was_left_out_is_no_unreadable_message(inbox_of, store, say):
    first = inbox_of(topics={"plant/+/flow": "flow", "plant/+/level": "level"}, every="10s")
    connected(first)
    first.close()
    say("plant/p1/level", "7")
    say("plant/p1/flow", "1")
    second = inbox_of()
    connected(second)
    assert stored(second, store, 1) == [1]
    assert second.take_rejected() == {}
