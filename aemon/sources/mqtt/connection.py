"""The connection to a broker; it reconnects by itself, and keeps the reason of a failure."""

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

KEEPALIVE_SECONDS = (
    30  # after this silence the client pings the broker; without an answer it disconnects
)
LONGEST_PAUSE_SECONDS = 30  # maximum pause between tries to connect: 1 s, 2 s, 4 s, ...
LONGEST_EXPIRY_SECONDS = 2**32 - 2  # 2**32 - 1 means that a session never expires

_REFUSED = {
    132: "set version: 3.1.1, or use another broker",
    133: "set another client_id",
    134: "check user and password",
    135: "check user and password, and that the broker allows this user",
    138: "the broker has banned this client: ask the broker's administrator",
    140: "the broker requires an authentication method that aemon does not support",
    142: "another client has connected with the same client_id: give each client its own client_id",
}
"""Reason code of CONNACK or DISCONNECT (MQTT 5, section 2.4) -> what a person must do."""

_DO_NOT_SEND_RETAINED, _SEND_RETAINED_ONCE = 2, 1


class BrokerConnection:
    """A connection that listens in a thread of the client library; messages go to `deliveries`.

    Args:
        settings: settings of the source.
        clock: returns the current time, for the time of arrival of a message.

    Attributes:
        deliveries: the messages that have arrived.
        subscribed_since: when the subscription began; None if there is no subscription now.
    """

    def __init__(self, settings: MqttSource, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: paho.Client | None = None
        self._problem: AemonError | None = None
        self._state = threading.Lock()  # guards the client, which is made once and closed once
        self._closed = False
        self.subscribed_since: datetime | None = None
        self.deliveries = Deliveries(self._acknowledge, settings.version)

    @property
    def problem(self) -> AemonError | None:
        """The error that stops messages from arriving; None without an error, or after `close`."""
        return None if self._closed else self._problem

    def listen(self, client_id: str, *, keep_session: bool) -> None:
        """Start to connect in a thread, unless this was done before; do not wait for the result.

        Args:
            client_id: the name of this client at the broker.
            keep_session: whether the broker keeps messages while this client is disconnected.

        Raises:
            ResourceError: the machine cannot start another thread.
            SourceConfigError: a certificate cannot be read.
        """
        with self._state:
            if self._closed:
                return
            is_new = self._client is None
            if self._client is None:
                self._client = self._new_client(client_id, keep_session=keep_session)
            with thread_errors("the connection to an MQTT broker"):
                started = self._client.loop_start()  # does nothing if the loop runs already
            if started == paho.MQTT_ERR_SUCCESS and not is_new:
                self._problem = SourceError(
                    f"the thread that listens to {self._settings.url} has ended with an unexpected "
                    "error, and was started again",
                    todo="look for the error on standard error, and check host and port",
                )

    def close(self) -> None:
        """Disconnect and end the thread; messages that have arrived can still be taken."""
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
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = MOST_UNKEPT
            properties.MaximumPacketSize = 2 * MOST_PAYLOAD
            if keep_session:
                expiry = round(settings.session_expiry.total_seconds())
                properties.SessionExpiryInterval = min(max(expiry, 1), LONGEST_EXPIRY_SECONDS)
            more = {"clean_start": not keep_session, "properties": properties}
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
        """Subscribe to the topics; called after each connection.

        The broker may have lost the session, or may keep a session with old topics.
        """
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
            topics = ", ".join(f"{topic} ({reason})" for topic, reason in refused)
            self._problem = SourceConfigError(
                f"the broker {self._settings.url} does not let aemon subscribe to {topics}",
                todo="check the topic, and check that the user has permission to read it",
            )

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.retain and not self._settings.retained:
            self._skip(message)
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "a topic that is not UTF-8"
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
                todo="set ca_file to the certificate of the authority that issued the broker's "
                "certificate",
            )
        elif isinstance(error, ssl.SSLError):
            self._problem = SourceConfigError(
                f"no TLS connection to the broker {url}: {error.reason or error}",
                todo="check that the port is for TLS, and that the broker accepts cert_file",
            )
        else:
            self._problem = SourceError(
                f"the broker {url} cannot be reached: {_text_of(error)}",
                todo="check that the broker is running, and check host and port",
            )

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, _more: object
    ) -> None:
        self.subscribed_since = None
        self.deliveries.disconnected()
        if self._problem is not None:
            return  # the first problem has more detail
        if reason.value in _REFUSED:
            self._refuse(reason)
        elif not self._closed:
            self._problem = SourceError(
                f"the connection to the broker {self._settings.url} has ended: {reason}",
                todo="aemon tries to connect again",
            )

    def _refuse(self, reason: ReasonCode) -> None:
        text = f"the broker {self._settings.url} refuses: {reason}"
        if reason.value in _REFUSED:
            self._problem = SourceConfigError(text, todo=_REFUSED[reason.value])
        else:
            self._problem = SourceError(text, todo="aemon tries to connect again")


def _tls_context(settings: MqttSource) -> ssl.SSLContext:
    """Return the TLS context: the certificates to trust, and the client's certificate.

    Raises:
        SourceConfigError: a file cannot be read, or does not hold certificates or a key as PEM.
    """
    files: list[tuple[str, Path | None]] = [
        (name, getattr(settings, name)) for name in ("ca_file", "cert_file", "key_file")
    ]
    for name, path in files:
        if path is not None and not path.is_file():
            raise SourceConfigError(f"{name} {path} is not a readable file")
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
    """Raise an error, so that OpenSSL does not ask for a password at the terminal."""
    raise ValueError("the key has a password")


def _text_of(error: BaseException | None) -> str:
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or "no reason was given")
