"""A real MQTT broker for tests, Debian's mosquitto, and somebody who publishes."""

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from aemon.sources.mqtt.connection import BrokerConnection
from tests.lacking import needs_program
from tests.processes import free_port

BINARY = "/usr/sbin/mosquitto"  # Debian has it where not everybody looks


class Mosquitto:
    """A broker that keeps sessions on disk, and can be stopped and started again."""

    def __init__(
        self,
        folder: Path,
        lines: Iterable[str] = (),
        *,
        anonymous: bool = True,
        secure: Iterable[str] = (),
    ) -> None:
        """Prepare a broker; `lines` are of its listener, `secure` of another one for TLS."""
        self.binary = BINARY if Path(BINARY).exists() else needs_program("mosquitto", "mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self.config = folder / "mosquitto.conf"
        self.secure_port = free_port()
        self.lines = [
            "per_listener_settings true",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            *(f"log_type {kind}" for kind in ("error", "warning", "notice", "subscribe")),
            "user root",
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(anonymous).lower()}",
            *lines,
            *((f"listener {self.secure_port} 127.0.0.1", *secure) if secure else ()),
        ]

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self.config.write_text("\n".join(self.lines) + "\n")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [self.binary, "-c", str(self.config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def has_subscriber(self, topic: str) -> bool:
        """Whether somebody has ever subscribed to a topic."""
        return f" {topic}\n" in self.log.read_text()

    def stop(self) -> None:
        """SIGTERM: sessions and their messages are written to disk."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def cut(connection: BrokerConnection) -> None:
    """End a connection as kill -9 of its process does: nothing is said or taken any more."""
    client: Any = connection._client
    connection._closed = client._thread_terminate = True
    connection.deliveries.disconnected()
    connection.deliveries.close()
    client._sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def publisher(port: int, **more: Any) -> Iterator["Publisher"]:
    """Somebody who publishes to a broker at this port of this machine."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    if "user" in more:
        client.username_pw_set(more["user"], more["password"])
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield Publisher(client)
    finally:
        client.disconnect()
        client.loop_stop()


class Publisher:
    """Publishes, and waits until the broker has it."""

    def __init__(self, client: paho.Client) -> None:
        self.client = client

    def say(self, topic: str, payload: str | bytes | None, *, qos: int = 1, **more: Any) -> None:
        self.client.publish(topic, payload, qos=qos, **more).wait_for_publish(20)

    def say_all(self, messages: Iterable[tuple[str, str]]) -> None:
        sent = [self.client.publish(topic, payload, qos=1) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(60)
