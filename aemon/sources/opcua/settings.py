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
    """Return the address of a server unchanged.

    Raises:
        ValueError: the text is not the address of a server, or holds a user or a password.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme == "opc.tcp" and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # the form that is used to resolve the name
    except ValueError:
        valid = False
    if not valid or not text.isascii() or " " in text:
        raise ValueError("is not an address of a server; write for example opc.tcp://host:4840")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "contains a user or a password: write them under the keys user and password"
        )
    return text


def _name(text: str) -> str:
    read_node_name(text)
    return text


Level = Annotated[int, Field(ge=0, le=1_000, strict=True)]
Column = Annotated[str, Field(min_length=1, pattern=r"^[^$]")] | Level


class OpcUaSource(SourceSettings):
    """Values of an OPC UA server; the server reports each change of a value."""

    opened_by: ClassVar[str] = "aemon.sources.opcua.opening:open_source"
    is_stream: ClassVar[bool] = True

    kind: Literal["opcua"] = "opcua"
    url: Annotated[str, AfterValidator(_server)] = Field(
        description="address of the server: opc.tcp://host:4840"
    )
    nodes: Annotated[
        dict[Annotated[str, AfterValidator(_name)], Column],
        Field(min_length=1, max_length=MOST_NAMES),
    ] = Field(
        description="column for each node. A node is an identifier, nsu=http://plant.example/;"
        "s=Flow, or a path of browse names below the Objects folder, Plant/+/Flow. A number in "
        "place of a column is the level of the path, counted from 0, that names the column"
    )
    entity: Level | None = Field(
        None,
        description="level of the path, counted from 0, that names the entity to which a record "
        "belongs",
    )
    bucket: Duration = Field(
        timedelta(seconds=1),
        description="length of the period that makes one record with the last value of each node",
    )
    wait: Duration = Field(
        timedelta(seconds=2),
        description="how long aemon waits for late values after the end of a bucket",
    )
    hold: Duration | None = Field(
        None,
        description="how long a value counts if the server reports no newer value; default: until "
        "the connection ends, because a server reports only changes",
    )
    time: Literal["source", "server", "arrival"] = Field(
        "source",
        description="which time a value has: the time of its device, of the server, or of arrival",
    )
    security: Literal["none", "sign", "sign_and_encrypt"] = Field(
        "none", description="how messages are protected"
    )
    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = Field(
        "Basic256Sha256", description="security policy, if messages are protected"
    )
    cert_file: FileBeside | None = Field(
        None, description="aemon's certificate, as PEM or DER; its URI is the application's URI"
    )
    key_file: FileBeside | None = Field(None, description="key of cert_file")
    server_cert_file: FileBeside | None = Field(
        None, description="certificate of the server; no other certificate is trusted"
    )
    user: str | None = Field(None, description="user, if the server asks for one")
    password: SecretStr | None = Field(
        None, description="password of the user, such as ${file:opcua.password}"
    )
    clear_text_password: bool = Field(
        False,
        description="whether user and password may be sent without encryption; others can then "
        "read both",
    )

    @model_validator(mode="after")
    def _levels_are_there(self) -> Self:
        for text, column in self.nodes.items():
            name = read_node_name(text)
            for key, level in (("nodes", column), ("entity", self.entity)):
                if isinstance(level, int) and not name.always_has(level):
                    why = "is not a path" if not name.path else f"has no level {level}"
                    raise AtKeyError(
                        key,
                        f"{text} {why}: a path such as Plant/+/Flow has levels, counted from 0",
                    )
        return self

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise AtKeyError(
                "user" if self.user is None else "password", "user and password belong together"
            )
        for key in ("cert_file", "key_file", "server_cert_file"):
            is_set = getattr(self, key) is not None
            if is_set and self.security == "none":
                raise AtKeyError(
                    key, "has no effect without protection; write security: sign_and_encrypt"
                )
            if not is_set and self.security != "none":
                raise AtKeyError(key, f"is needed for security: {self.security}")
        exposed = self.user is not None and self.security != "sign_and_encrypt"
        if exposed and not self.clear_text_password:
            raise AtKeyError(
                "user",
                "would be sent over a connection without encryption; write security: "
                "sign_and_encrypt, or allow it with clear_text_password: true",
            )
        return self
