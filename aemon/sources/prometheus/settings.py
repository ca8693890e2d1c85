"""The settings of PromQL queries as a source."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from aemon.config.receiver_settings import BasicAuth
from aemon.config.source_settings import secrets_of
from aemon.config.values.addresses import checked_url
from aemon.config.values.scalars import AtKeyError
from aemon.config.values.times import Duration
from aemon.sources.readings.settings import ReadingsSettings

_SECOND = timedelta(seconds=1)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = ("authorization", "host", "content-length", "content-type", "transfer-encoding")


def _whole_seconds(step: timedelta) -> timedelta:
    if step % _SECOND or step < _SECOND:
        raise ValueError("must be whole seconds, such as 15s or 1m")
    return step


def _base(url: str) -> str:
    parts = urlsplit(checked_url(url))
    if parts.query or parts.fragment:
        raise ValueError("must be the address before /api/v1, without ? or #")
    return url.rstrip("/").removesuffix("/api/v1")


class PrometheusSource(ReadingsSettings):
    """PromQL queries over HTTP, to Prometheus, VictoriaMetrics, Thanos or Mimir."""

    opened_by: ClassVar[str] = "aemon.sources.prometheus.source:PrometheusQueries"
    where_not_what: ClassVar[frozenset[str]] = frozenset(
        {
            "url", "queries", "delay", "history", "partial", "timeout", "headers", "bearer_token",
            "basic_auth", "ca_file", "cert_file", "key_file", "insecure_skip_verify",
        }
    )  # fmt: skip

    kind: Literal["prometheus"] = "prometheus"
    url: Annotated[str, AfterValidator(_base)] = Field(
        description="address of the server, with the path before /api/v1 if there is one: "
        "http://mimir.example/prometheus"
    )
    step: Annotated[Duration, AfterValidator(_whole_seconds)] = Field(
        timedelta(minutes=1),
        description="time between two records; queries are evaluated at multiples of this time",
    )
    queries: dict[str, str] = Field(
        min_length=1, description="name -> PromQL; each query is a column of that name"
    )
    entity: str | None = Field(
        None,
        description="label whose values are the entities to which records belong, such as "
        "instance: one record for each entity and step",
    )
    columns: str | None = Field(
        None,
        description="if there is only one query: the label whose values become the column names",
    )
    delay: Duration = Field(
        timedelta(seconds=30),
        description="how long after its time a step is read, because samples of scrapes and remote "
        "writes arrive late",
    )
    history: Duration = Field(
        timedelta(days=30),
        description="how far back the records of the first training may reach; steps that the "
        "server no longer holds are skipped",
    )
    partial: bool = Field(False, description="accept answers that lack the data of some servers")
    timeout: Duration = Field(timedelta(seconds=30), description="longest time for one query")
    headers: dict[str, SecretStr] = Field(
        {}, description="HTTP headers of every request, such as a tenant: {X-Scope-OrgID: plant}"
    )
    bearer_token: SecretStr | None = Field(None, description="credentials, as a bearer token")
    basic_auth: BasicAuth | None = Field(None, description="credentials, as a user and a password")
    ca_file: Path | None = Field(
        None, description="certificates to trust, as PEM; default the system's certificates"
    )
    cert_file: Path | None = Field(
        None, description="client certificate, if the server verifies clients"
    )
    key_file: Path | None = Field(None, description="key of cert_file")
    insecure_skip_verify: bool = Field(
        False,
        description="trust any certificate; an attacker between aemon and the server can then read "
        "the credentials",
    )

    @field_validator("queries")
    @classmethod
    def _say_something(cls, queries: dict[str, str]) -> dict[str, str]:
        for name, query in queries.items():
            if not name.strip() or not query.strip():
                raise AtKeyError(name, "a query needs a name and a text")
        return queries

    @field_validator("entity", "columns")
    @classmethod
    def _is_label(cls, label: str | None) -> str | None:
        if label is not None and not _LABEL.fullmatch(label):
            raise ValueError("must be the name of a label, such as instance")
        return label

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in headers:
            if not _HEADER.fullmatch(name) or name.lower() in _RESERVED:
                raise AtKeyError(
                    name, "is not allowed as a header; credentials have their own keys"
                )
        return headers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.columns is not None and len(self.queries) > 1:
            raise AtKeyError("columns", "needs exactly one query, but there are several")
        if self.columns is not None and self.columns == self.entity:
            raise AtKeyError("columns", "is already the label of the entity")
        if self.bearer_token is not None and self.basic_auth is not None:
            raise AtKeyError("bearer_token", "give a token or basic_auth, not both")
        if (self.cert_file is None) != (self.key_file is None):
            given, other = (
                ("cert_file", "key_file") if self.cert_file else ("key_file", "cert_file")
            )
            raise AtKeyError(given, f"needs {other} too")
        if any(not _fits_a_line(secret.get_secret_value()) for secret in secrets_of(self)):
            raise ValueError("a credential or a header holds a line end or other control character")
        return self


def _fits_a_line(secret: str) -> bool:
    return secret.isprintable()
