"""Settings of a source of kind mqtt."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from aemon.config.source_settings import FORMAT, TimeFormat
from aemon.config.values.scalars import AtKeyError, FileBeside
from aemon.config.values.times import Duration, TimeZone
from aemon.sources.json_paths import read_path
from aemon.sources.mqtt.topics import TopicFilter, check_filter
from aemon.sources.readings.settings import ReadingsSettings

PORT, TLS_PORT = 1883, 8883
MOST_TOPICS = 1_000
MOST_CLIENT_ID = 128  # characters


def _broker(text: str) -> str:
    """Return the address of a broker unchanged.

    Raises:
        ValueError: the text is not the address of a broker, or holds a user or a password.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"mqtt", "mqtts"} and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # the form that is used to resolve the name
    except ValueError:
        valid = False
    if not valid or not text.isascii() or " " in text:
        raise ValueError("is not an address of a broker; write for example mqtt://host:1883")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or a password: write them under user and password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("has text after the port; give topics under topics")
    return text


def _path(text: str) -> str:
    read_path(text)
    return text


def _column(text: str) -> str:
    if text.startswith("$"):
        read_path(text)
    return text


Name = Annotated[str, Field(min_length=1)]
Path = Annotated[str, AfterValidator(_path)]
Level = Annotated[int, Field(ge=0, le=1_000, strict=True)]
Filter = Annotated[str, AfterValidator(check_filter)]
Values = (
    Level
    | Annotated[Name, AfterValidator(_column)]
    | Annotated[dict[Name, Path], Field(min_length=1)]
)


class MqttSource(ReadingsSettings):
    """Messages of an MQTT broker: sensor values by topic, plain or in JSON."""

    opened_by: ClassVar[str] = "aemon.sources.mqtt.opening:open_source"
    is_stream: ClassVar[bool] = True

    kind: Literal["mqtt"] = "mqtt"
    url: Annotated[str, AfterValidator(_broker)] = Field(
        description="address of the broker: mqtt://host:1883, or mqtts://host:8883 for TLS"
    )
    topics: Annotated[dict[Filter, Values], Field(min_length=1, max_length=MOST_TOPICS)] = Field(
        description="topics to subscribe to, with + and #, each with the column of its value. "
        "Instead of a column: the number of the topic's level that names the column; columns with "
        "their JSON paths, {flow: $.flow}; or $ for every plain member of a JSON object"
    )
    entity: Level | Path | None = Field(
        None,
        description="level of the topic, counted from 0, or JSON path, that names the entity to "
        "which a record belongs",
    )
    every: Duration | None = Field(
        None,
        description="length of the period whose last values make one record; default 10s with "
        "several topics; with one topic each message is a record",
    )
    wait: Duration = Field(
        timedelta(seconds=2),
        description="how long a record waits for late values after the length of its period "
        "(every) has passed since its first value",
    )
    time: Path | None = Field(
        None, description="JSON path of the event time; default the time of arrival"
    )
    key: Path | None = Field(
        None,
        description="JSON path of the key, if each message is a record; default its time",
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that have no zone")
    time_format: TimeFormat | None = Field(None, description=FORMAT)
    retained: bool = Field(
        False, description="read retained messages too: values from before aemon subscribed"
    )
    qos: Literal[0, 1] = Field(
        1,
        description="1: the broker keeps messages until aemon has stored them; 0: the broker keeps "
        "no messages",
    )
    version: Literal[5, "3.1.1"] = Field(5, description="version of the protocol: 5 or 3.1.1")
    client_id: Annotated[str, Field(min_length=1, max_length=MOST_CLIENT_ID)] | None = Field(
        None, description="name of this client at the broker; default a random name, made once"
    )
    session_expiry: Duration = Field(
        timedelta(days=7),
        description="how long the broker should keep messages while aemon is not connected",
    )
    user: str | None = Field(None, description="user, if the broker asks for one")
    password: SecretStr | None = Field(
        None, description="password of the user, such as ${file:mqtt.password}"
    )
    ca_file: FileBeside | None = Field(
        None, description="certificates to trust, as PEM; default the system's certificates"
    )
    cert_file: FileBeside | None = Field(
        None, description="client certificate to show to the broker"
    )
    key_file: FileBeside | None = Field(None, description="key of cert_file")

    @model_validator(mode="after")
    def _levels_are_there(self) -> Self:
        for text, values in self.topics.items():
            topic = TopicFilter.of(text)
            for key, level in (("topics", values), ("entity", self.entity)):
                if isinstance(level, int) and not topic.always_has(level):
                    raise AtKeyError(
                        key,
                        f"{text} has no level {level}: levels are counted from 0, and the first is "
                        f"{topic.levels[0]}",
                    )
            plain = isinstance(values, int) or (isinstance(values, str) and values[:1] != "$")
            for key in ("time", "key", "entity"):
                if plain and isinstance(getattr(self, key), str):
                    raise AtKeyError(
                        key,
                        f"a JSON path reads messages in JSON, but messages of {text} are plain "
                        f"values; write {{column: $.path}} for {text}, or leave {key} out",
                    )
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.password is not None and self.user is None:
            raise AtKeyError("password", "needs a user too")
        if (self.cert_file is None) != (self.key_file is None):
            raise AtKeyError(
                "cert_file" if self.key_file is None else "key_file", "needs the other file as well"
            )
        if not self.is_secure:
            for key in ("ca_file", "cert_file"):
                if getattr(self, key) is not None:
                    raise AtKeyError(key, "has no effect without TLS; write url: mqtts://...")
        if self.every is not None and self.holds_readings:
            raise AtKeyError("every", "is for messages without pivot and bucket; leave every out")
        if "wait" in self.model_fields_set and self.holds_readings:
            raise AtKeyError(
                "wait", "is for messages without pivot and bucket: give bucket its wait"
            )
        if self.key is not None and self.joined_every is not None:
            raise AtKeyError(
                "key", "a record of several messages has no key; leave key or every out"
            )
        return self

    @property
    def address(self) -> SplitResult:
        """The broker's address, split into its parts."""
        return urlsplit(self.url)

    @property
    def is_version_5(self) -> bool:
        """Whether the protocol is MQTT 5, not 3.1.1."""
        return self.version != "3.1.1"

    @property
    def is_secure(self) -> bool:
        """Whether the broker is reached over TLS."""
        return self.address.scheme == "mqtts"

    @property
    def port(self) -> int:
        """The broker's port."""
        return self.address.port or (TLS_PORT if self.is_secure else PORT)

    @property
    def joined_every(self) -> timedelta | None:
        """The period whose messages make one record.

        None if each message is a record or a reading.
        """
        if self.holds_readings:
            return None
        several = len(self.topics) > 1 or any(isinstance(v, int) for v in self.topics.values())
        return self.every or (timedelta(seconds=10) if several else None)
