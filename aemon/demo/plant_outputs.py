"""Sends the plant's readings as messages to an MQTT broker, or as metrics to Prometheus."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aemon.demo.plant import COLUMNS
from aemon.demo.plant_database import Reading
from aemon.errors import SourceError

if TYPE_CHECKING:
    import paho.mqtt.client as paho

TOPIC: Final = "plant/{pump}/state"
METRIC: Final = "pump_{column}"
UNITS: Final = {
    "flow": "m3/h",
    "pressure": "bar",
    "temperature": "degC",
    "vibration": "mm/s",
    "current": "A",
}
VALVE_METRIC: Final = "pump_valve_throttled"

_WAIT_SECONDS = 0.1
_LAST_MESSAGES_SECONDS = 5.0
_LOOPBACK = "127.0.0.1"


class Output(Protocol):
    """A destination to which the plant sends its readings."""

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until the destination is ready for readings, or until `stop` returns True."""

    def send(self, readings: Iterable[Reading]) -> None:
        """Send readings, oldest first."""


@contextlib.contextmanager
def mqtt_output(port: int) -> Iterator[Output]:
    """Yield an output to the broker at a port of this machine; each reading is a message in JSON.

    Raises:
        SourceError: the broker cannot be reached.
    """
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    try:
        client.connect(_LOOPBACK, port)
    except OSError as error:
        raise SourceError(f"the broker at {_LOOPBACK}:{port} cannot be reached: {error}") from error
    client.loop_start()
    output = _Messages(client)
    try:
        yield output
        output.finish()
    finally:
        client.disconnect()
        client.loop_stop()


class _Messages:
    """Readings as messages of QoS 1."""

    def __init__(self, client: "paho.Client") -> None:
        self._client = client
        self._newest: paho.MQTTMessageInfo | None = None

    def wait(self, stop: Callable[[], bool]) -> None:
        """Return immediately, because a broker takes messages at any time."""

    def send(self, readings: Iterable[Reading]) -> None:
        """Hand readings to the client, which sends them in its own thread."""
        for reading in readings:
            topic = TOPIC.format(pump=reading[1])
            self._newest = self._client.publish(topic, message_of(reading), qos=1)

    def finish(self) -> None:
        """Wait until the broker has the newest reading."""
        with contextlib.suppress(RuntimeError, ValueError):
            if self._newest is not None:
                self._newest.wait_for_publish(_LAST_MESSAGES_SECONDS)


def message_of(reading: Reading) -> str:
    """Return a reading as JSON; a value that a sensor did not give is null.

    >>> message_of(("2026-01-02T03:04:05.000000+00:00", "p1", 60.1, None, 58.0, 2.2, 30.0, "open"))
    '{"ts": "2026-01-02T03:04:05.000000+00:00", "flow": 60.1, "pressure": null, "temperature": 58.0, "vibration": 2.2, "current": 30.0, "valve": "open"}'
    """
    moment, _, *values = reading
    return json.dumps({"ts": moment, **dict(zip((*COLUMNS, "valve"), values, strict=True))})


@contextlib.contextmanager
def prometheus_output(port: int) -> Iterator[Output]:
    """Yield an exporter at a port of this machine: the newest reading of each pump as metrics.

    Raises:
        SourceError: the port is taken.
    """
    metrics = _Metrics()
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, _LOOPBACK, registry)
    except OSError as error:
        raise SourceError(f"the exporter cannot listen at {_LOOPBACK}:{port}: {error}") from error
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Metrics(Collector):
    """The newest reading of each pump as metrics; a scrape gets all columns of the same moment."""

    def __init__(self) -> None:
        self._newest: dict[str, Reading] = {}
        self._scraped = threading.Event()

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until the first scrape: the first reading is made when Prometheus is ready."""
        while not self._scraped.wait(_WAIT_SECONDS) and not stop():
            pass

    def send(self, readings: Iterable[Reading]) -> None:
        """Keep the newest reading of each pump in `readings`, for the next scrape."""
        self._newest = {**self._newest, **{reading[1]: reading for reading in readings}}

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: without this method, registering would count as a scrape."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a gauge for each column and the valve; a missing value has no sample."""
        self._scraped.set()
        newest = self._newest
        for place, (column, unit) in enumerate(UNITS.items(), start=2):
            gauge = GaugeMetricFamily(
                METRIC.format(column=column), f"{column}, {unit}", labels=["pump"]
            )
            for pump, reading in newest.items():
                value = reading[place]
                if value is not None:
                    gauge.add_metric([pump], float(value))
            yield gauge
        valve = GaugeMetricFamily(VALVE_METRIC, "1 while the valve is throttled", labels=["pump"])
        for pump, reading in newest.items():
            valve.add_metric([pump], float(reading[-1] == "throttled"))
        yield valve
