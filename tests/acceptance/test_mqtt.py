"""A daemon that listens to a real MQTT broker: crashes of both, TLS, and a fault that is flagged."""

import itertools
import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests import readings
from tests.mosquitto import Mosquitto, publisher
from tests.processes import Daemon
from tests.readings import LEARNED
from tests.web_security import Keys

pytestmark = pytest.mark.acceptance

COUNTED = """
  counted:
    source: {{kind: mqtt, url: '{url}', topics: {{'count/+': n}}, entity: 1}}
    score_every: 1h
    max_training_records: 100000
    min_records: 100000
"""


def numbers(daemon):
    found = daemon.query("SELECT record FROM history ORDER BY id")
    return [json.loads(record)["n"] for (record,) in found]


class Counting:
    """Publishes 0, 1, 2, ... until told to end; each is with the broker before more follow."""

    def __init__(self, port):
        self.port = port
        self.count = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, name="counting", daemon=True)

    def run(self):
        with publisher(self.port) as publishing:
            while not self.over.is_set():
                publishing.say_all(
                    (f"count/p{n % 3}", str(n)) for n in range(self.count, self.count + 200)
                )
                self.count += 200
                self.over.wait(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_kills_of_the_daemon_and_restarts_of_the_broker_lose_and_double_nothing(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker:
        lease = "replicas: {lease: 2s}"
        with Daemon(tmp_path, COUNTED.format(url=broker.url), settings=lease) as daemon:
            daemon.wait(lambda: broker.has_subscriber("count/+"), "the daemon at the broker")
            with Counting(broker.port) as counting:
                for _ in range(3):
                    before = len(numbers(daemon))
                    daemon.wait(
                        lambda before=before: len(numbers(daemon)) > before + 400, "records"
                    )
                    daemon.kill()
                    daemon.start()
            published = counting.count
            broker.stop()  # messages that are not acknowledged yet are written to its disk
            broker.start()
            with publisher(broker.port) as publishing:
                publishing.say_all(
                    (f"count/p{n % 3}", str(n)) for n in range(published, published + 9)
                )
            daemon.wait(lambda: len(numbers(daemon)) >= published + 9, "the last records")
            assert numbers(daemon) == list(range(published + 9))
            daemon.stop()
            rejected = daemon.query("SELECT reason, record FROM rejected_records")
        assert rejected == []


PUMPS = """
  pumps:
    source:
      kind: mqtt
      url: '{url}'
      user: aemon
      password: '${{file:{folder}/password}}'
      ca_file: {folder}/ca.crt
      topics: {{'plant/+/state': {{flow: $.flow, pressure: $.p, current: '$.motor["A"]'}}}}
      entity: 1
      time: $.ts
    score_every: 2s
    min_records: 200
    detector: {{steps: 200, members: 1}}
    threshold: {{false_alarm_rate: 0.001}}
"""


def state(number, row):
    flow, pressure, current = row
    ts = (readings.START + timedelta(seconds=number)).isoformat()
    return json.dumps({"ts": ts, "flow": flow, "p": pressure, "motor": {"A": current}})


def test_a_fault_that_comes_over_tls_is_flagged_within_two_runs(tmp_path):
    Keys.make(tmp_path)
    (tmp_path / "password").write_text("hunter2\n")
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(
        ["mosquitto_passwd", "-b", str(passwords), "aemon", "hunter2"], check=True,
        capture_output=True,
    )  # fmt: skip
    tls = [
        "allow_anonymous false",
        f"password_file {passwords}",
        f"cafile {tmp_path}/ca.crt",
        f"certfile {tmp_path}/server.crt",
        f"keyfile {tmp_path}/server.key",
    ]
    with Mosquitto(tmp_path / "broker", secure=tls) as broker:
        url = f"mqtts://127.0.0.1:{broker.secure_port}"
        with Daemon(tmp_path, PUMPS.format(url=url, folder=tmp_path)) as daemon:
            daemon.wait(lambda: broker.has_subscriber("plant/+/state"), "the daemon at the broker")
            with publisher(broker.port) as publishing:
                rows = readings.values(LEARNED + 20).tolist()
                publishing.say_all(
                    ("plant/p1/state", state(number, row)) for number, row in enumerate(rows)
                )
                publishing.say("plant/p1/state", "out of order")
                daemon.wait(lambda: daemon.query("SELECT 1 FROM scores") != [], "a detector")
                before = runs(daemon)
                flow, pressure, _ = rows[-1]
                publishing.say("plant/p1/state", state(LEARNED + 20, (flow, pressure, 9.0)))
            daemon.wait(lambda: flagged(daemon) != [], "the fault to be flagged", every=0.05)
            assert runs(daemon) - before <= 2
            ((entity, reason),) = flagged(daemon)
            assert entity == "p1"
            assert "current 9" in reason
            assert daemon.query("SELECT reason FROM rejected_records") == [("not_json",)]
            assert "hunter2" not in daemon.log.read_text()
            assert daemon.stop() < 10


def flagged(daemon):
    return daemon.query(
        "SELECT entity, reason FROM anomalies WHERE event_time > "
        f"'{readings.START + timedelta(seconds=LEARNED + 19)}'"
    )


def runs(daemon):
    ((count,),) = daemon.query("SELECT count(*) FROM runs WHERE job = 'score' AND outcome = 'ok'")
    return count


READINGS = """
  pumps:
    source:
      kind: mqtt
      url: '{url}'
      topics: {{'plant/readings': $}}
      entity: $.pump
      time: $.ts
      pivot: {{name: tag, value: value}}
      bucket: {{every: 2s, aggregate: count, wait: 2s}}
    score_every: 1h
    min_records: 50000
"""


class Reading:
    """Publishes readings of two pumps and two tags, and counts those of each record and column."""

    def __init__(self, port):
        self.port = port
        self.counts = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, name="reading", daemon=True)

    def run(self):
        with publisher(self.port) as publishing:
            while not self.over.is_set():
                now = datetime.now(UTC)
                begin = int(now.timestamp()) // 2 * 2
                said = []
                for pump, tag in itertools.product(("p1", "p2"), ("flow", "pressure")):
                    record = self.counts.setdefault((pump, begin), {})
                    record[tag] = record.get(tag, 0) + 1
                    reading = {"ts": now.isoformat(), "pump": pump, "tag": tag, "value": 1.5}
                    said.append(("plant/readings", json.dumps(reading)))
                publishing.say_all(said)
                self.over.wait(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_buckets_of_readings_are_whole_over_kills_of_the_daemon(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker:
        lease = "replicas: {lease: 2s}"
        with Daemon(tmp_path, READINGS.format(url=broker.url), settings=lease) as daemon:

            def records():
                found = {}
                for pump, time, record in daemon.query(
                    "SELECT entity, event_time, record FROM history"
                ):
                    begin = datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
                    assert (pump, begin) not in found
                    found[pump, int(begin)] = json.loads(record)
                return found

            daemon.wait(lambda: broker.has_subscriber("plant/readings"), "the daemon at the broker")
            with Reading(broker.port) as reading:
                for _ in range(2):
                    before = len(records())
                    daemon.wait(lambda before=before: len(records()) > before + 4, "records")
                    daemon.kill()  # in the middle of a bucket
                    daemon.start()
            daemon.wait(lambda: len(records()) >= len(reading.counts), "the last buckets")
            assert records() == reading.counts
            daemon.stop()
            assert daemon.query("SELECT reason, record FROM rejected_records") == []
            assert daemon.query("SELECT count(*) FROM unfinished_records") == [(0,)]
