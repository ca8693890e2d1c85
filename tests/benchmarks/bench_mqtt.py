"""Messages of MQTT with QoS 1, from a real mosquitto into a SQLite store, acknowledged when durable.

    python tests/benchmarks/bench_mqtt.py [--messages 100000] [--version 5] [--joined]

One process publishes all messages first, so that its work is not counted; they wait at the broker in the
session of the inbox. Then the inbox writes them: each message one record, or, with --joined, one value of a
record of ten. Must: 5,000 messages a second, none lost or doubled.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from aemon.clock import utc_now
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.mqtt.source import Mqtt
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store
from tests.mosquitto import Mosquitto, publisher

COLUMNS = 10
TIMEOUT_SECONDS = 300


def wait_for(condition) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def settings_of(url: str, version: int | str, *, joined: bool) -> MqttSource:
    if joined:
        topics: dict[str, object] = {"plant/+/+": 2}
        return MqttSource.model_validate(
            {"url": url, "version": version, "topics": topics, "entity": 1, "every": "1s"}
        )
    topics = {"plant/+": {"flow": "$.flow", "p": "$.p", "t": "$.t"}}
    return MqttSource.model_validate(
        {"url": url, "version": version, "topics": topics, "entity": 1}
    )


def messages(count: int, *, joined: bool):
    for number in range(count):
        if joined:
            yield f"plant/p{number // COLUMNS % 50}/c{number % COLUMNS}", str(number)
        else:
            payload = json.dumps({"flow": number, "p": number / 7, "t": 21.5})
            yield f"plant/p{number % 50}", payload


def measure(folder: Path, count: int, version: int | str, *, joined: bool) -> float:
    """Messages a second."""
    with Mosquitto(folder / "broker") as broker:
        engine = open_engine(f"sqlite:///{folder}/aemon.db")
        revisions.prepare(engine)
        store = Store(engine, utc_now)
        store.add_monitors(["pumps"])
        settings = settings_of(broker.url, version, joined=joined)
        streams: list[Mqtt] = []

        def open_stream() -> Mqtt:
            streams.append(Mqtt(settings, utc_now))
            return streams[-1]

        first = Inbox(open_stream, store, "pumps", 10**6)
        first.listen()
        wait_for(lambda: streams and streams[0]._connection.subscribed_since)
        first.close(20)
        with publisher(broker.port) as publishing:
            publishing.say_all(messages(count, joined=joined))
        inbox = Inbox(open_stream, store, "pumps", 10**6)
        began, processor = time.perf_counter(), time.process_time()
        inbox.listen()
        deliveries = lambda: streams[-1]._connection.deliveries  # noqa: E731
        wait_for(lambda: len(streams) == 2 and deliveries()._taken)
        done = 0
        last = time.perf_counter()
        while True:
            time.sleep(0.01)
            kept = InboxRecords(store, "pumps").count(10**7)
            if not joined and kept >= count:
                break
            if joined and deliveries()._unkept == 0 and time.perf_counter() - last > 0.5:
                break
            if deliveries()._unkept:
                last = time.perf_counter()
            done = kept
        seconds = (time.perf_counter() if not joined else last) - began
        used = time.process_time() - processor
        inbox.close(20)
        assert inbox.take_rejected() == {}
        if not joined:
            numbers = InboxRecords(store, "pumps").fetch(None, count + 1).table["flow"]
            assert sorted(numbers) == list(range(count)), "lost or doubled"
        store.close()
    print(f"  {used / seconds:.2f} cores used; {done} records")
    return count / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--version", default="5")
    parser.add_argument("--joined", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        version = 5 if args.version == "5" else args.version
        rate = measure(Path(made), args.messages, version, joined=args.joined)
    print(f"MQTT {args.version}{', joined' if args.joined else ''}: {rate:,.0f} messages a second")
