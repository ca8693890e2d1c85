import json
import threading
import urllib.request
from datetime import UTC, datetime, timedelta

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from aemon.demo.feed import Feed, main, write_in_real_time
from aemon.demo.plant import COLUMNS, Plant
from aemon.demo.plant_database import open_plant_database
from aemon.demo.plant_outputs import UNITS, mqtt_output, prometheus_output
from aemon.demo.planted_faults import fault_schedule
from aemon.errors import SourceError
from tests.mosquitto import Mosquitto
from tests.processes import free_port

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PUMP_1 = ("2026-01-02T03:04:05.000000+00:00", "p1", 60.5, None, 58.0, 2.2, 30.0, "throttled")
PUMP_2 = ("2026-01-02T03:04:05.000000+00:00", "p2", 61.5, 5.0, 58.0, 2.2, 30.0, "open")


def test_the_units_are_of_the_plants_columns():
    assert list(UNITS) == list(COLUMNS)


def test_an_exporter_serves_the_newest_reading_of_each_pump_and_waits_for_a_scrape():
    port = free_port()
    with prometheus_output(port) as output:
        waiting = threading.Thread(target=output.wait, args=[lambda: False])
        waiting.start()
        output.send([PUMP_2, PUMP_1])
        output.send([(*PUMP_2[:2], 62.5, *PUMP_2[3:])])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        waiting.join(10)
        assert not waiting.is_alive()
    samples = {line for line in lines if not line.startswith("#")}
    assert {'pump_flow{pump="p1"} 60.5', 'pump_flow{pump="p2"} 62.5'} <= samples
    assert {'pump_valve_throttled{pump="p1"} 1.0', 'pump_valve_throttled{pump="p2"} 0.0'} <= samples
    assert [line for line in samples if line.startswith("pump_pressure")] == [
        'pump_pressure{pump="p2"} 5.0'
    ]


def test_a_wait_for_a_scrape_ends_with_the_plant():
    with prometheus_output(free_port()) as output:
        output.wait(lambda: True)


def test_a_port_that_is_taken_is_an_error():
    port = free_port()
    with (
        prometheus_output(port),
        pytest.raises(SourceError, match="cannot listen"),
        prometheus_output(port),
    ):
        pass


def test_a_broker_that_does_not_run_ends_the_plant_with_a_message(tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/plant.db"
    assert main(["--url", url, "--seconds", "1", "--publish", str(free_port())]) != 0
    assert "cannot be reached" in capsys.readouterr().err


def test_every_reading_is_a_message_and_only_faults_are_written(tmp_path):
    plant = Plant(seed=7)
    feed = Feed(plant, START, fault_schedule(plant, first_at=0.5))
    received, everything = [], threading.Event()

    def on_message(_client, _data, message):
        received.append((message.topic, json.loads(message.payload)))
        if len(received) == 44:
            everything.set()

    with Mosquitto(tmp_path / "broker") as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        subscribed = threading.Event()
        client.on_message = on_message
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe("plant/+/state", qos=1)
        assert subscribed.wait(20)
        connection = open_plant_database(tmp_path / "plant.db")
        stops = iter([False, True])
        with mqtt_output(broker.port) as output:
            output.wait(lambda: False)
            write_in_real_time(
                feed, connection, stop=lambda: next(stops), sleep=lambda _: None,
                clock=lambda: START + timedelta(seconds=1), output=output,
            )  # fmt: skip
        assert everything.wait(20)
        client.disconnect()
        client.loop_stop()
    assert {topic for topic, _ in received} == {f"plant/p{n}/state" for n in range(1, 5)}
    assert list(received[0][1]) == ["ts", *COLUMNS, "valve"]
    assert connection.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM planted_faults").fetchone() == (1,)
    connection.close()
