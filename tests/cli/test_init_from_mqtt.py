"""`aemon init --from mqtt://...`: the configuration loads, and reads what was heard."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from aemon.config.loading import load_config
from aemon.errors import ExitCode
from tests.cli.commands import run
from tests.mosquitto import Mosquitto, publisher
from tests.processes import free_port


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@contextmanager
def playing(broker, messages):
    """Publish messages again and again, five times a second, while the block runs."""
    over = threading.Event()

    def play():
        number = 0
        with publisher(broker.port) as publishing:
            while not over.wait(0.2):
                publishing.say_all(messages(number))
                number += 1

    thread = threading.Thread(target=play, name="playing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def guessed(folder, place, *more):
    run(folder, "init", "--from", place, "--listen", "1.5", *more)
    config = load_config(folder / "aemon.yaml", {"SOURCE_PASSWORD": "hunter2"})
    return {name: monitor.source for name, monitor in config.monitors.items()}


def test_topics_columns_paths_and_the_entity_level_are_guessed(tmp_path, broker):
    def messages(number):
        at = (datetime.now(UTC) + timedelta(microseconds=number)).isoformat()
        for pump in ("p1", "p2"):
            state = {"ts": at, "p": 5 + number, "motor": {"A": 30.5, "on": True}, "valve": "open"}
            yield f"plant/{pump}/state", json.dumps(state)
            yield f"plant/{pump}/raw/temperature", "58.1"
            yield f"plant/{pump}/raw/flow rate", str(60 + number)

    with playing(broker, messages):
        sources = guessed(tmp_path, f"{broker.url}/plant/#")
    (source,) = sources.values()
    assert source.topics == {
        "plant/+/raw/flow rate": "flow rate",
        "plant/+/raw/temperature": "temperature",
        "plant/+/state": {
            "p": "$.p", "A": "$.motor.A", "on": "$.motor.on", "valve": "$.valve",
        },
    }  # fmt: skip
    assert (source.url, source.entity, source.time) == (broker.url, 1, None)
    assert source.every == timedelta(seconds=1)
    text = (tmp_path / "aemon.yaml").read_text()
    assert f"aemon init --from {broker.url}/plant/#" in text
    assert "level 1 of the topic, counted from 0; 2 different: p1, p2" in text
    assert "messages on 6 topics" in text


def test_one_kind_of_object_gives_times_and_an_entity_in_the_message(tmp_path, broker):
    def messages(number):
        at = datetime.now(UTC).isoformat()
        for device in ("d1", "d2"):
            yield "line", json.dumps({"time": at, "device": device, "flow": number})

    with playing(broker, messages):
        (source,) = guessed(tmp_path, f"{broker.url}/line").values()
    assert source.topics == {"line": {"flow": "$.flow"}}
    assert (source.entity, source.time, source.every) == ("$.device", "$.time", None)


def test_a_broker_without_messages_is_told_with_a_way_out(tmp_path, broker):
    told = run(
        tmp_path, "init", "--from", f"{broker.url}/nothing/here", "--listen", "0.2",
        code=ExitCode.SOURCE,
    ).stderr  # fmt: skip
    assert "no message came on nothing/here in 0.2 s" in told
    assert "--listen 60" in told
    assert not (tmp_path / "aemon.yaml").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("mqtt://127.0.0.1:PORT/a", "cannot be reached"),
        ("mqtt://127.0.0.1/a/b#", "must be the whole last level"),
        ("mqtt:///a", "is not an address of a broker"),
    ],
)
def test_a_broker_that_cannot_be_looked_at_is_told_and_nothing_written(tmp_path, place, words):
    place = place.replace("mqtt://127", "mqtt://u:hunter2@127").replace("PORT", str(free_port()))
    told = run(tmp_path, "init", "--from", place, code=ExitCode.SOURCE).stderr
    assert words in told
    assert "hunter2" not in told
    assert not (tmp_path / "aemon.yaml").exists()
