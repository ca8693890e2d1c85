"""The connection to a broker: it comes back by itself, and says in words what is wrong."""

import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from aemon.clock import Clock
from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.mqtt.deliveries import MOST_PAYLOAD, MOST_UNKEPT, Deliveries
from aemon.sources.mqtt.settings import MqttSource
from aemon.threads import thread_errors

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

KEEPALIVE_SECONDS = 30  # a broker that is silent for so long is asked, and then given up
LONGEST_PAUSE_SECONDS = 30  # between tries to connect: 1 s, 2 s, 4 s, ...
LONGEST_EXPIRY_SECONDS = 2**32 - 2  # one more means for ever

_REFUSED = {
    132: "set version: 3.1.1, or ask for another broker",
    133: "set another client_id",
    134: "see whether user and password are right",
    135: "see whether user and password are right, and whether the broker lets this user in",
    138: "the broker has banned this client: ask who runs it",
    140: "the broker wants another way to show who aemon is, which is not supported",
    142: "another client has connected with the same client_id: give each its own",
}
"""CONNACK and DISCONNECT of MQTT 5 (section 2.4), which a person must do something about."""

_DO_NOT_SEND_RETAINED, _SEND_RETAINED_ONCE = 2, 1


class BrokerConnection:
    """Listens to a broker in a thread of the client library; messages go to `deliveries`.

    Args:
        settings: of the source.
        clock: tells when a message came.

    Attributes:
        deliveries: what has come.
        subscribed_since: when messages began to come; None where they do not come at the moment.
    """

    def __init__(self, settings: MqttSource, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: paho.Client | None = None
        self._problem: AemonError | None = None
        self._state = threading.Lock()  # of the client: it is made and closed once
        self._closed = False
        self.subscribed_since: datetime | None = None
        self.deliveries = Deliveries(self._acknowledge, settings.version)

    @property
    def problem(self) -> AemonError | None:
        """What keeps messages from coming, where something does; None after the end."""
        return None if self._closed else self._problem

    def listen(self, client_id: str, *, keep_session: bool) -> None:
        """Connect in a thread, unless that is done already; do not wait for it.

        Args:
            client_id: by which the broker knows this client.
            keep_session: let the broker keep messages while this client is away.

        Raises:
            ResourceError: the machine has no thread to give.
            SourceConfigError: a certificate cannot be read.
        """
        with self._state:
            if self._closed:
                return
            is_new = self._client is None
            if self._client is None:
                self._client = self._new_client(client_id, keep_session=keep_session)
            with thread_errors("the connection to an MQTT broker"):
                started = self._client.loop_start()  # does nothing where it runs
            if started == paho.MQTT_ERR_SUCCESS and not is_new:
                self._problem = SourceError(
                    f"the thread that listens to {self._settings.url} has died of an error that nobody "
                    "foresaw, and was started again",
                    todo="see standard error for it, and whether host and port are right",
                )

    def close(self) -> None:
        """Leave the broker and end the thread; what has come can still be taken."""
        self.deliveries.close()
        with self._state:
            self._closed = True
            client = self._client
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _acknowledge(self, packet: int) -> None:
        if self._client is not None:
            self._client.ack(packet, 1)

    def _new_client(self, client_id: str, *, keep_session: bool) -> paho.Client:
        settings = self._settings
        is_5 = settings.is_version_5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5 if is_5 else paho.MQTTv311,
            clean_session=None if is_5 else not keep_session,
            manual_ack=True,
        )
        if settings.user is not None:
            secret = settings.password
            client.username_pw_set(settings.user, secret.get_secret_value() if secret else None)
        if settings.is_secure:
            client.tls_set_context(_tls_context(settings))
        client.reconnect_delay_set(1, LONGEST_PAUSE_SECONDS)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        more: dict[str, Any] = {}
        if is_5:
            wanted: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            wanted.ReceiveMaximum = MOST_UNKEPT
            wanted.MaximumPacketSize = 2 * MOST_PAYLOAD
            if keep_session:
                expiry = round(settings.session_expiry.total_seconds())
                wanted.SessionExpiryInterval = min(max(expiry, 1), LONGEST_EXPIRY_SECONDS)
            more = {"clean_start": not keep_session, "properties": wanted}
        host = settings.address.hostname or ""
        client.connect_async(host, settings.port, KEEPALIVE_SECONDS, **more)
        return client

    def _on_connect(
        self, client: paho.Client, _data: object, flags: Any, reason: ReasonCode, _more: object
    ) -> None:
        if reason.is_failure:
            self._refuse(reason)
            return
        self._problem = None
        self.deliveries.connected(session_present=bool(flags.session_present))
        self._subscribe(client)

    def _subscribe(self, client: paho.Client) -> None:
        """Subscribe at each connection: a broker may have lost its sessions, or have old topics."""
        settings = self._settings
        if settings.is_version_5:
            retained = _SEND_RETAINED_ONCE if settings.retained else _DO_NOT_SEND_RETAINED
            options = SubscribeOptions(qos=settings.qos, retainHandling=retained)
            client.subscribe([(topic, options) for topic in settings.topics])
        else:
            plain: list[tuple[str, int]] = [(topic, settings.qos) for topic in settings.topics]
            client.subscribe(plain)

    def _on_subscribe(
        self,
        _client: object,
        _data: object,
        _packet: int,
        reasons: Sequence[ReasonCode],
        _more: object,
    ) -> None:
        refused = [
            (topic, reason)
            for topic, reason in zip(self._settings.topics, reasons, strict=False)
            if reason.is_failure
        ]
        self.subscribed_since = None if refused else self._clock()
        if refused:
            told = ", ".join(f"{topic} ({reason})" for topic, reason in refused)
            self._problem = SourceConfigError(
                f"the broker {self._settings.url} does not let aemon subscribe to {told}",
                todo="see whether the topic is right, and whether the user may read it",
            )

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.retain and not self._settings.retained:
            self._skip(message)
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "a topic that is no UTF-8"
        self.deliveries.put(
            topic,
            bytes(message.payload),
            self._clock(),
            packet=message.mid if message.qos else 0,
            resent=message.dup,
        )

    def _skip(self, message: paho.MQTTMessage) -> None:
        if message.qos:
            self._acknowledge(message.mid)

    def _on_connect_fail(self, _client: object, _data: object) -> None:
        error = sys.exc_info()[1]
        url = self._settings.url
        if isinstance(error, ssl.SSLCertVerificationError):
            self._problem = SourceConfigError(
                f"the certificate of the broker {url} is not trusted: {error.verify_message}",
                todo="name the certificate of its authority as ca_file",
            )
        elif isinstance(error, ssl.SSLError):
            self._problem = SourceConfigError(
                f"no TLS connection to the broker {url}: {error.reason or error}",
                todo="see whether the port is one for TLS, and cert_file the certificate it asks for",
            )
        else:
            self._problem = SourceError(
                f"the broker {url} cannot be reached: {_told(error)}",
                todo="see whether it runs, and whether host and port are right",
            )

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, _more: object
    ) -> None:
        self.subscribed_since = None
        self.deliveries.disconnected()
        if self._problem is not None:
            return  # it says more
        if reason.value in _REFUSED:
            self._refuse(reason)
        elif not self._closed:
            self._problem = SourceError(
                f"the connection to the broker {self._settings.url} has ended: {reason}",
                todo="aemon tries to connect again",
            )

    def _refuse(self, reason: ReasonCode) -> None:
        told = f"the broker {self._settings.url} refuses: {reason}"
        if reason.value in _REFUSED:
            self._problem = SourceConfigError(told, todo=_REFUSED[reason.value])
        else:
            self._problem = SourceError(told, todo="aemon tries to connect again")


def _tls_context(settings: MqttSource) -> ssl.SSLContext:
    """Return how the broker is verified, and what is shown to it.

    Raises:
        SourceConfigError: a file cannot be read, or does not hold what it should.
    """
    files: list[tuple[str, Path | None]] = [
        (name, getattr(settings, name)) for name in ("ca_file", "cert_file", "key_file")
    ]
    for name, path in files:
        if path is not None and not path.is_file():
            raise SourceConfigError(f"{name} {path} is no file that can be read")
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError):
        raise SourceConfigError(
            f"ca_file {settings.ca_file} does not hold certificates as PEM"
        ) from None
    if settings.cert_file is not None:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file, password=_no_password)
        except (OSError, ValueError):
            raise SourceConfigError(
                f"cert_file {settings.cert_file} and key_file {settings.key_file} do not hold a "
                "certificate and its key as PEM, or the key has a password"
            ) from None
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking at the terminal."""
    raise ValueError("the key has a password")


def _told(error: BaseException | None) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or "no reason was given")
