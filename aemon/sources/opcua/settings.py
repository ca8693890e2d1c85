"""Settings of a source of kind opcua."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from aemon.config.source_settings import SourceSettings
from aemon.config.values.scalars import AtKeyError, FileBeside
from aemon.config.values.times import Duration
from aemon.sources.opcua.node_names import read_node_name

MOST_NAMES = 10_000


def _server(text: str) -> str:
    """Return the address of a server as it is.

    Raises:
        ValueError: it is none, or holds a user or a password.
    """
    try:
        parts = urlsplit(text)
        there = parts.scheme == "opc.tcp" and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as it is looked up
    except ValueError:
        there = False
    if not there or not text.isascii() or " " in text:
        raise ValueError("is no address of a server; write for example opc.tcp://host:4840")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it: give them as user and password")
    return text


def _name(text: str) -> str:
    read_node_name(text)
    return text


Level = Annotated[int, Field(ge=0, le=1_000, strict=True)]
Column = Annotated[str, Field(min_length=1, pattern=r"^[^$]")] | Level

# A stream's records are read from the inbox, in which a watermark means the same whatever is set here.
_ALL_BUT_KIND = frozenset(
    {
        "url", "nodes", "entity", "bucket", "wait", "hold", "time", "security", "policy", "cert_file",
        "key_file", "server_cert_file", "user", "password", "clear_text_password",
    }
)  # fmt: skip


class OpcUaSource(SourceSettings):
    """Values of an OPC UA server, which reports their changes."""

    opened_by: ClassVar[str] = "aemon.sources.opcua.opening:open_source"
    is_stream: ClassVar[bool] = True
    where_not_what: ClassVar[frozenset[str]] = _ALL_BUT_KIND

    kind: Literal["opcua"] = "opcua"
    url: Annotated[str, AfterValidator(_server)] = Field(
        description="the server: opc.tcp://host:4840"
    )
    nodes: Annotated[
        dict[Annotated[str, AfterValidator(_name)], Column],
        Field(min_length=1, max_length=MOST_NAMES),
    ] = Field(
        description="nodes and the column of each: nsu=http://plant.example/;s=Flow, or a path of browse "
        "names from the Objects folder on, Plant/+/Flow; a number is the level of the path that names "
        "the column"
    )
    entity: Level | None = Field(
        None,
        description="which level of the path, counted from 0, names the thing a record belongs to",
    )
    bucket: Duration = Field(
        timedelta(seconds=1),
        description="how long a time makes one record, of the last value of each node",
    )
    wait: Duration = Field(
        timedelta(seconds=2), description="so much longer values of that time are waited for"
    )
    hold: Duration | None = Field(
        None,
        description="how long a value counts that the server does not report again; default as long as "
        "the connection lasts, for a server reports changes alone",
    )
    time: Literal["source", "server", "arrival"] = Field(
        "source", description="whose time of a value counts: the device's, the server's, or aemon's"
    )
    security: Literal["none", "sign", "sign_and_encrypt"] = Field(
        "none", description="how messages are protected"
    )
    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = Field(
        "Basic256Sha256", description="the security policy, where messages are protected"
    )
    cert_file: FileBeside | None = Field(
        None, description="aemon's certificate, as PEM or DER; its URI is that of the application"
    )
    key_file: FileBeside | None = Field(None, description="and its key")
    server_cert_file: FileBeside | None = Field(
        None, description="the certificate of the server, which is trusted alone"
    )
    user: str | None = Field(None, description="user, where the server asks for one")
    password: SecretStr | None = Field(None, description="its password, ${file:opcua.password}")
    clear_text_password: bool = Field(
        False, description="allow user and password without encryption: others can read them"
    )

    @model_validator(mode="after")
    def _levels_are_there(self) -> Self:
        for text, column in self.nodes.items():
            name = read_node_name(text)
            for key, level in (("nodes", column), ("entity", self.entity)):
                if isinstance(level, int) and not name.always_has(level):
                    why = "is no path" if not name.path else f"has no level {level}"
                    raise AtKeyError(
                        key,
                        f"{text} {why}: levels are those of a path such as Plant/+/Flow, counted from 0",
                    )
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise AtKeyError(
                "user" if self.user is None else "password", "user and password belong together"
            )
        for key in ("cert_file", "key_file", "server_cert_file"):
            there = getattr(self, key) is not None
            if there and self.security == "none":
                raise AtKeyError(
                    key, "has no effect without protection; write security: sign_and_encrypt"
                )
            if not there and self.security != "none":
                raise AtKeyError(key, f"is needed for security: {self.security}")
        exposed = self.user is not None and self.security != "sign_and_encrypt"
        if exposed and not self.clear_text_password:
            raise AtKeyError(
                "user",
                "would be sent over a connection without encryption; write security: "
                "sign_and_encrypt, or allow it with clear_text_password: true",
            )
        return self
