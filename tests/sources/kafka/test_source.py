"""A stream of Kafka messages, from the mock cluster within the client library."""

import io
import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import fastavro
import pytest

from aemon.clock import utc_now
from aemon.errors import SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.open_buckets import OpenBuckets
from aemon.sources.kafka import connecting, consuming
from aemon.sources.kafka.opening import open_source
from aemon.sources.kafka.settings import KafkaSource
from aemon.store.inbox.rejected_records import newest_rejected
from tests.kafka import MockCluster, wait_for
from tests.processes import free_port


@pytest.fixture(autouse=True)
def quick_sessions(monkeypatch):
    monkeypatch.setattr(connecting, "SESSION_MILLISECONDS", 1_000)


@pytest.fixture
def cluster():
    with MockCluster() as cluster:
        yield cluster


def settings_of(cluster, **more):
    return {"servers": cluster.servers, "topics": cluster.topic, "group": "pumps", **more}


def kafka(cluster, **more):
    return open_source(KafkaSource.model_validate(settings_of(cluster, **more)), utc_now)


@pytest.fixture
def listen(cluster):
    """Return a stream that listens by these settings, as member of the group."""
    opened = []

    def listen(notes=(), **more):
        stream = kafka(cluster, **more)
        opened.append(stream)
        stream.resume(notes, lambda: None)
        stream._member.start()
        wait_for(lambda: stream._member.assigned is not None)
        return stream

    yield listen
    for stream in opened:
        stream.close()


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
    return frames, set_aside


def test_a_message_is_a_record_with_the_time_and_place_it_has_in_kafka(cluster, listen):
    stream = listen()
    cluster.say('{"flow": 4.5, "on": true, "deep": {"x": 1}}', timestamp=1_772_359_200_123)
    [frame], set_aside = taken(stream, 1)
    assert frame.values.to_dict("records") == [{"flow": 4.5, "on": True}]
    assert frame.keys.tolist() == ["readings/0/0"]
    assert frame.aware_time(0) == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert set_aside == []


def test_values_come_from_every_part_of_a_message(cluster, listen):
    stream = listen(
        values={"flow": "$.f[0]", "site": "$headers.site", "part": "$partition"},
        entity="$key.pump", key="$.id", time="$.ts", timezone="Europe/Berlin",
    )  # fmt: skip
    cluster.say('{"f": [7], "id": 12, "ts": "2026-03-01 11:00:00"}', key='{"pump": "p1"}',
                headers={"site": b"north"})  # fmt: skip
    [frame], _ = taken(stream, 1)
    assert frame.values.to_dict("records") == [{"flow": 7, "site": "north", "part": 0}]
    assert (frame.entities[0], frame.keys[0]) == ("p1", "12")
    assert frame.aware_time(0) == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_what_cannot_be_read_is_set_aside_with_its_place_and_the_rest_goes_on(cluster, listen):
    stream = listen(values={"flow": "$.flow", "p": "$.p"}, time="$.ts")
    at = '"ts": "2026-03-01T10:00:00Z"'
    cluster.say("no JSON", b"\xff\xfe", None, f'{{"other": 1, {at}}}',
                f'{{"flow": {{"deep": 1}}, "p": 2, {at}}}', '{"flow": 3, "ts": "soon"}',
                '{"flow": 3, "ts": "9999-01-01"}', f'{{"flow": 4, {at}}}')  # fmt: skip
    frames, set_aside = taken(stream, 9)
    assert [row for frame in frames for row in frame.values["flow"].dropna()] == [4]
    assert [(reason, told["offset"]) for reason, told in set_aside] == [
        ("not_json", 0), ("not_text", 1), ("no_value", 2), ("no_value", 3), ("not_plain", 4),
        ("no_time", 5), ("time_out_of_range", 6),
    ]  # fmt: skip
    assert set_aside[0][1] == {
        "topic": "readings", "partition": 0, "offset": 0, "value": "no JSON",
    }  # fmt: skip


SCHEMA = {
    "type": "record", "name": "Reading",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "pump", "type": "string"},
        {"name": "flow", "type": ["null", "double"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9,
                                   "scale": 2}},
        {"name": "raw", "type": "bytes"},
    ],
}  # fmt: skip


def avro(flow=None, at=datetime(2026, 3, 1, 10, tzinfo=UTC)):
    stream = io.BytesIO()
    record = {"at": at, "pump": "p1", "flow": flow, "price": Decimal("1.50"), "raw": b"\x01"}
    fastavro.schemaless_writer(stream, SCHEMA, record)
    return stream.getvalue()


@pytest.mark.parametrize("header", [b"", b"\x00\x00\x00\x00\x07"])
def test_avro_is_read_by_the_schema_of_a_file(cluster, listen, tmp_path, header):
    (tmp_path / "reading.avsc").write_text(json.dumps(SCHEMA))
    stream = listen(
        avro_schema=tmp_path / "reading.avsc", skip_bytes=len(header), time="$.at",
        entity="$.pump", values={"flow": "$.flow", "price": "$.price"},
    )  # fmt: skip
    cluster.say(*(header + value for value in (avro(4.5), avro(), b"\x02", avro() + b"more",
                                               avro(float("nan")))))  # fmt: skip
    frames, set_aside = taken(stream, 5)
    rows = [row for frame in frames for row in frame.values.to_dict("records")]
    assert rows[0] == {"flow": 4.5, "price": 1.5}
    assert [row["flow"] == row["flow"] and row["flow"] is not None for row in rows] == [
        True, False, False,
    ]  # fmt: skip
    assert frames[0].aware_time(0) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert frames[0].entities[0] == "p1"
    assert [(reason, told["offset"]) for reason, told in set_aside] == [
        ("not_avro", 2), ("not_avro", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["no JSON", '{"type": "strange"}', None])
def test_a_schema_that_cannot_be_read_is_told_with_its_file(cluster, tmp_path, text):
    path = tmp_path / "reading.avsc"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceConfigError, match=f"avro_schema {path}"):
        kafka(cluster, avro_schema=path)


@pytest.fixture
def inbox_of(cluster, store):
    """Return an inbox as a daemon has it; each is a new process to the cluster."""
    opened = []

    def inbox_of(group="pumps", **more):
        inbox = Inbox(lambda: kafka(cluster, group=group, **more), store, "pumps", keep=10_000)
        opened.append(inbox)
        inbox.write_arrived()
        wait_for(lambda: inbox._stream._member.assigned is not None)
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


def say(cluster, *numbers):
    cluster.say(*(json.dumps({"flow": number}) for number in numbers))


def committed(cluster, group="pumps"):
    import confluent_kafka as ck

    consumer = ck.Consumer({"bootstrap.servers": cluster.servers[0], "group.id": group})
    [found] = consumer.committed([ck.TopicPartition("readings", 0)], timeout=10)
    consumer.close()
    return found.offset


def die(inbox):
    """End as after kill -9: nothing is written or committed any more."""
    inbox._stream._member.commits = False
    inbox._stream.close()
    inbox._closed = True


def test_offsets_are_committed_once_the_records_are_stored_and_not_before(cluster, inbox_of, store):
    inbox = inbox_of()
    say(cluster, 1, 2)
    wait_for(lambda: len(inbox._stream._member.waiting) == 2)
    time.sleep(0.5)  # more than two rounds of the thread
    assert committed(cluster) < 0
    assert stored(inbox, store, 2) == [1, 2]
    wait_for(lambda: committed(cluster) == 2)


def test_what_was_taken_and_not_stored_comes_again(cluster, inbox_of, store):
    first = inbox_of()
    say(cluster, 1)
    wait_for(lambda: len(first._stream._member.waiting) == 1)
    first._stream.take(10)  # and never written
    die(first)
    assert stored(inbox_of(), store, 1) == [1]


def test_what_was_stored_and_not_committed_is_not_read_again(cluster, inbox_of, store):
    first = inbox_of(key="$.flow")
    first._stream._member.commits = False
    say(cluster, 1, 2, 3)
    assert stored(first, store, 3) == [1, 2, 3]
    die(first)
    assert committed(cluster) < 0
    second = inbox_of(key="$.flow")
    say(cluster, 4)
    assert stored(second, store, 4) == [1, 2, 3, 4]
    assert second.take_rejected() == {}
    assert second._stream._member.waiting.positions() == {("readings", 0): 4}


def test_another_group_reads_again_and_the_store_knows_the_records(cluster, inbox_of, store):
    first = inbox_of()
    say(cluster, 1, 2)
    stored(first, store, 2)
    first.close()
    second = inbox_of(group="others")
    wait_for(lambda: second.write_arrived() is not None and second._rejected)
    wait_for(lambda: second.write_arrived() is not None and sum(second._rejected.values()) == 2)
    assert flows(store) == [1, 2]
    assert second.take_rejected() == {"duplicate_key": 2}


def test_a_bad_message_is_kept_among_the_rejected_with_its_place(cluster, inbox_of, store):
    inbox = inbox_of()
    cluster.say('{"flow": 1}', "oops", '{"flow": 2}')
    assert stored(inbox, store, 2) == [1, 2]
    [rejected] = newest_rejected(store, ["pumps"], 10)
    assert rejected.reason == "not_json"
    told = json.loads(rejected.record)
    assert (told["topic"], told["partition"], told["offset"]) == ("readings", 0, 1)


def test_a_group_begins_at_the_newest_message_if_asked_also_after_a_restart(
    cluster, inbox_of, store
):
    say(cluster, 1, 2)
    first = inbox_of(start="newest")
    first.write_arrived()  # notes where it began
    die(first)
    say(cluster, 3)
    second = inbox_of(start="newest")
    assert stored(second, store, 1) == [3]


def test_a_full_inbox_pauses_the_partitions_and_loses_nothing(cluster, listen, monkeypatch):
    monkeypatch.setattr("aemon.sources.kafka.waiting.MOST_UNKEPT", 100)
    say(cluster, *range(600))
    stream = listen()
    waiting = stream._member.waiting
    wait_for(lambda: stream._member._paused)
    time.sleep(0.5)  # and nothing more comes
    assert len(waiting) < 300
    seen = []
    deadline = time.monotonic() + 30
    while len(seen) < 600 and time.monotonic() < deadline:
        arrived = stream.take(50)
        seen += arrived.table["flow"].tolist() if len(arrived.table) else []
        if arrived.done is not None:
            arrived.done()
    assert seen == list(range(600))
    assert arrived.lost == 0


def test_readings_become_records_of_whole_buckets_over_a_crash(cluster, inbox_of, store, clock):
    made = {
        "pivot": {"name": "tag", "value": "value"},
        "bucket": {"every": "1m", "wait": "300ms", "aggregate": {"state": "last"}},
        "entity": "$key",
        "time": "$.ts",
    }
    buckets = partial(OpenBuckets, KafkaSource.model_validate(settings_of(cluster, **made)))

    def reading(inbox):
        inbox._buckets = buckets(store, "pumps")
        return inbox

    def said(second, tag, value):
        ts = (clock.now + timedelta(seconds=second - 600)).isoformat()
        cluster.say(json.dumps({"ts": ts, "tag": tag, "value": value}), key="p1")

    first = reading(inbox_of(**made))
    said(0, "flow", 1)
    said(10, "state", "on")
    wait_for(lambda: len(first._stream._member.waiting) == 2)
    first.write_arrived()
    die(first)
    second = reading(inbox_of(**made))
    said(50, "flow", 3)
    said(70, "flow", 8)
    wait_for(lambda: len(second._stream._member.waiting) == 2)
    second.write_arrived()
    clock.forward(timedelta(seconds=30))  # no reading has arrived for the wait
    second._stream._clock = clock
    second._stream._member.assigned_since = clock.now - timedelta(seconds=1)
    assert second.write_arrived() == 2
    table = InboxRecords(store, "pumps").fetch(None, 10).table
    assert table["flow"].tolist() == [2.0, 8.0]
    assert table["state"].fillna("missing").tolist() == ["on", "missing"]
    assert table["entity"].tolist() == ["p1", "p1"]


def test_a_broker_that_goes_and_comes_back_loses_and_doubles_nothing(cluster, inbox_of, store):
    inbox = inbox_of()
    say(cluster, 1)
    assert stored(inbox, store, 1) == [1]
    cluster.go_down()
    wait_for(lambda: inbox._stream._member.problem)
    with pytest.raises(SourceError, match=r"the Kafka cluster at .* cannot be reached"):
        inbox.write_arrived()
    cluster.come_up()
    wait_for(lambda: inbox._stream._member.problem is None)
    say(cluster, 2, 3)
    assert stored(inbox, store, 3) == [1, 2, 3]
    assert inbox.take_rejected() == {}


def test_members_of_a_group_share_partitions_and_hand_them_over(listen):
    with MockCluster("shared", partitions=4) as cluster:
        streams = [kafka(cluster) for _ in range(2)]
        for stream in streams:
            stream.resume([], lambda: None)
            stream._member.start()
        wait_for(lambda: all(len(one._member.assigned or ()) == 2 for one in streams))
        for partition in range(4):
            cluster.say(*(json.dumps({"flow": n}) for n in range(5)), partition=partition)
        wait_for(lambda: all(len(one._member.waiting) == 10 for one in streams))
        left = streams[0].take(4)  # of its ten, and keeps them
        left.done()
        streams[0].close()
        wait_for(lambda: len(streams[1]._member.assigned or ()) == 4)
        wait_for(lambda: len(streams[1]._member.waiting) == 16)
        again = streams[1].take(100)
        keys = set(left.table["$key"]) | set(again.table["$key"])
        assert len(keys) == 20
        assert len(left.table) + len(again.table) == 20
        streams[1].close()


def test_whoever_only_looks_joins_no_group_and_commits_nothing(cluster):
    say(cluster, *range(300))
    stream = kafka(cluster)
    stream.take(1)
    wait_for(lambda: len(stream._member.waiting) >= 200)
    arrived = stream.take(1_000)
    assert arrived.table["flow"].tolist() == list(range(100, 300))
    arrived.done()
    stream.close()
    assert committed(cluster) < 0


def test_a_topic_that_is_not_there_is_told_with_those_that_are(cluster):
    stream = kafka(cluster, topics=["reading"])
    with pytest.raises(SourceConfigError, match=r"no topic reading, .*did you mean readings"):
        wait_for(lambda: stream.take(1).more)
    stream.close()


def test_a_pattern_reads_all_topics_that_match_also_those_made_later(cluster, monkeypatch, listen):
    monkeypatch.setattr(connecting, "REFRESH_MILLISECONDS", 300)
    cluster.make_topic("readings-2", 1)
    stream = listen(topics=["^readings.*"], values={"flow": "$.flow"})
    say(cluster, 1)
    cluster.topic = "readings-2"
    say(cluster, 2)
    frames, _ = taken(stream, 2)
    assert sorted(key for frame in frames for key in frame.keys) == [
        "readings-2/0/0",
        "readings/0/0",
    ]
    cluster.make_topic("readings-3", 1)
    cluster.topic = "readings-3"
    say(cluster, 3)
    frames, _ = taken(stream, 1)
    assert [key for frame in frames for key in frame.keys] == ["readings-3/0/0"]


def test_a_look_reads_the_topics_of_a_pattern_or_tells_that_none_matches(cluster):
    say(cluster, 1)
    with closing(kafka(cluster, topics=["^read.*"])) as stream:
        frames, _ = taken(stream, 1)
        assert frames[0].keys.tolist() == ["readings/0/0"]
    none = pytest.raises(SourceConfigError, match=r"no topic that matches \^plant")
    with closing(kafka(cluster, topics=["^plant\\..*"])) as stream, none:
        taken(stream, 1)
    with closing(kafka(cluster, topics=["^plant"])) as stream:
        stream.resume([], lambda: None)
        with none:
            taken(stream, 1)


def test_a_topic_made_again_while_aemon_is_away_begins_a_new_generation(
    cluster, inbox_of, store, caplog
):
    first = inbox_of()
    say(cluster, 1, 2)
    assert stored(first, store, 2) == [1, 2]
    die(first)
    cluster.delete_topic("readings")
    cluster.make_topic("readings", 1)
    say(cluster, 3, 4, 5)  # more than were read: only the topic's id tells
    second = inbox_of()
    assert stored(second, store, 5) == [1, 2, 3, 4, 5]
    assert "was deleted and made again" in caplog.text
    die(second)
    third = inbox_of()  # the generation is in the store
    say(cluster, 6)
    assert stored(third, store, 6) == [1, 2, 3, 4, 5, 6]
    keys = InboxRecords(store, "pumps").fetch(None, 10).table["record_key"].tolist()
    assert keys[1:3] == ["readings/0/1", "readings#2/0/0"]
    assert keys[-1] == "readings#2/0/3"
    assert newest_rejected(store, ["pumps"], 5) == []


@pytest.mark.parametrize("newer", [1, 5])
def test_a_topic_made_again_while_it_is_read_begins_a_new_generation(
    cluster, inbox_of, store, monkeypatch, newer
):
    monkeypatch.setattr(connecting, "REFRESH_MILLISECONDS", 300)
    monkeypatch.setattr(consuming, "IDS_EVERY_SECONDS", 0.3)
    inbox = inbox_of()
    say(cluster, 1, 2)
    assert stored(inbox, store, 2) == [1, 2]
    cluster.delete_topic("readings")
    cluster.make_topic("readings", 1)
    later = list(range(10, 10 + newer))
    say(cluster, *later)
    assert stored(inbox, store, 2 + newer) == [1, 2, *later]
    say(cluster, 99)
    assert stored(inbox, store, 3 + newer) == [1, 2, *later, 99]
    assert newest_rejected(store, ["pumps"], 5) == []
    assert inbox.take_rejected() == {}


def test_brokers_that_are_not_there_are_told_with_their_address():
    server = f"127.0.0.1:{free_port()}"
    given = {"servers": server, "topics": "a", "group": "g"}
    stream = open_source(KafkaSource.model_validate(given), utc_now)
    stream.resume([], lambda: None)
    with pytest.raises(SourceError, match=f"the Kafka cluster at {server} cannot be reached"):
        wait_for(lambda: stream.take(1).more)
    stream.close()
    assert len(stream.take(1).table) == 0


def test_a_certificate_that_is_none_is_told(cluster, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    stream = kafka(cluster, tls=True, ca_file=tmp_path / "ca.pem")
    with pytest.raises(SourceConfigError, match="check that ca_file, cert_file and key_file"):
        wait_for(lambda: stream.take(1).more)
    stream.close()
