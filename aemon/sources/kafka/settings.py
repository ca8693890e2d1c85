"""Settings of a source of kind kafka."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from aemon.config.source_settings import FORMAT, TimeFormat
from aemon.config.values.scalars import AtKeyError, FileBeside
from aemon.config.values.times import TimeZone
from aemon.sources.json_paths import read_path
from aemon.sources.kafka.places import read_place
from aemon.sources.readings.settings import ReadingsSettings

PORT = 9092
MOST_TOPICS = 1_000
MOST_GROUP = 200  # characters
MOST_SKIPPED = 1_000  # bytes
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MOST_PORT = 65_535


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found[1] or PORT) <= _MOST_PORT:
        raise ValueError("is not an address of a broker; write for example broker.example:9092")
    return text


def _topic(text: str) -> str:
    if text.startswith("^"):
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    elif not _TOPIC.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a topic: a name has letters, digits, '.', '_' and '-'; a regular "
            "expression begins with ^"
        )
    return text


def _place(text: str) -> str:
    read_place(text)
    return text


def _path(text: str) -> str:
    read_path(text)
    return text


Name = Annotated[str, Field(min_length=1)]
At = Annotated[str, AfterValidator(_place)]
Columns = (
    Annotated[str, AfterValidator(_path)]
    | Annotated[dict[Name, At], Field(min_length=1, max_length=10_000)]
)


class KafkaSource(ReadingsSettings):
    """Messages of a Kafka cluster: JSON or Avro, read by a consumer group."""

    opened_by: ClassVar[str] = "aemon.sources.kafka.opening:open_source"
    is_stream: ClassVar[bool] = True

    kind: Literal["kafka"] = "kafka"
    servers: Annotated[
        list[Annotated[str, AfterValidator(_server)]], Field(min_length=1, max_length=100)
    ] = Field(description="brokers to connect to first: [broker.example:9092]")
    topics: Annotated[
        list[Annotated[str, AfterValidator(_topic)]],
        Field(min_length=1, max_length=MOST_TOPICS),
    ] = Field(description="topics to read; ^plant-.* is a regular expression")
    group: Annotated[str, Field(min_length=1, max_length=MOST_GROUP)] = Field(
        description="consumer group, for this monitor only: members of a group share the messages"
    )
    values: Columns = Field(
        "$",
        description="columns and the places of their values, {flow: $.flow, site: $headers.site}; "
        "or the path of an object, whose plain members are the columns",
    )
    avro_schema: FileBeside | None = Field(
        None, description="file with the Avro schema of the values; default JSON"
    )
    skip_bytes: int = Field(
        0,
        ge=0,
        le=MOST_SKIPPED,
        description="bytes before the value; 5 if a schema registry's serializer wrote it",
    )
    entity: At | None = Field(
        None,
        description="name of the entity to which a record belongs: $.device, $key or $headers.name",
    )
    time: At = Field("$timestamp", description="event time; default the message's timestamp")
    key: At | None = Field(
        None, description="key that identifies a record; default its topic, partition and offset"
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that carry none")
    time_format: TimeFormat | None = Field(None, description=FORMAT)
    start: Literal["oldest", "newest"] = Field(
        "oldest", description="where to begin in a partition that this group never read"
    )
    tls: bool = Field(False, description="reach the brokers over TLS")
    ca_file: FileBeside | None = Field(
        None, description="certificates to trust, as PEM; default the system's"
    )
    cert_file: FileBeside | None = Field(
        None, description="client certificate to show to the brokers"
    )
    key_file: FileBeside | None = Field(None, description="key of cert_file")
    user: str | None = Field(None, description="user, if the brokers ask for one (SASL)")
    password: SecretStr | None = Field(
        None, description="password of the user, ${file:kafka.password}"
    )
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="mechanism by which the user is authenticated"
    )
    clear_text_password: bool = Field(
        False, description="allow PLAIN without TLS: anyone on the network can read the password"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, given: Any) -> Any:
        """Accept `servers: a:9092,b:9092` and `topics: readings` as lists."""
        if isinstance(given, dict):
            lists = {
                key: [part.strip() for part in value.split(",")] if key == "servers" else [value]
                for key in ("servers", "topics")
                if isinstance(value := given.get(key), str)
            }
            return given | lists
        return given

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise AtKeyError(
                "user" if self.user is None else "password", "user and password belong together"
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise AtKeyError(
                "cert_file" if self.key_file is None else "key_file", "needs the other file as well"
            )
        if not self.tls:
            for key in ("ca_file", "cert_file"):
                if getattr(self, key) is not None:
                    raise AtKeyError(key, "has no effect without TLS; write tls: true")
            plain = self.user is not None and self.sasl == "PLAIN"
            if plain and not self.clear_text_password:
                raise AtKeyError(
                    "sasl",
                    "PLAIN without TLS sends the password in clear text; write tls: true, use "
                    "SCRAM-SHA-512, or allow it with clear_text_password: true",
                )
        if self.skip_bytes and self.avro_schema is None:
            raise AtKeyError("skip_bytes", "is for Avro only; set avro_schema too")
        return self

    @property
    def protocol(self) -> str:
        """The name of the security protocol in Kafka's settings."""
        return ("SASL_" if self.user is not None else "") + ("SSL" if self.tls else "PLAINTEXT")
