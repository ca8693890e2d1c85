"""Settings of the daemon: HTTP, logs, retention, and the sharing of a store."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from aemon.config.values.addresses import checked_url
from aemon.config.values.scalars import AtKeyError, FileBeside, Listen, Settings, Size
from aemon.config.values.times import Age, Duration, Pause


class ClientSettings(Settings):
    """Credentials that `aemon status` and `aemon doctor` send to a daemon that needs them."""

    token: SecretStr | None = Field(None, description="a bearer token")
    user: str | None = Field(None, description="a user, instead of a token")
    password: SecretStr | None = Field(None, description="password of the user")
    cert_file: FileBeside | None = Field(
        None, description="a client certificate, if the daemon verifies certificates"
    )
    key_file: FileBeside | None = Field(None, description="private key of the certificate")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        for key, other in (("user", "password"), ("cert_file", "key_file")):
            for name, needed in ((key, other), (other, key)):
                if getattr(self, name) and not getattr(self, needed):
                    raise AtKeyError(name, f"needs {needed}, too")
        if self.user and self.token:
            raise AtKeyError("token", "give a token, or user and password")
        if self.token and not re.fullmatch(r"[!-~]+", self.token.get_secret_value()):
            raise AtKeyError("token", "a token is one word without spaces, in one line")
        return self


HostName = Annotated[
    str,
    Field(
        max_length=253,
        pattern=r"^(\*|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)$",
        description="a host name without port",
    ),
]


class HttpSettings(Settings):
    """Settings of the HTTP server for metrics, health and the status page."""

    listen: Listen = Field("127.0.0.1:9464", description="host:port; by default on loopback only")
    hosts: tuple[HostName, ...] | None = Field(
        None,
        max_length=1000,
        description="host names that requests may address, in addition to the names of this host, "
        "of listen and of url; default: no further names if listen is on loopback, else any name; "
        "'*': any name",
    )
    web_config: FileBeside | None = Field(
        None,
        description="file with TLS, users and tokens, in the format of Prometheus' exporters",
    )
    max_body: Size = Field(
        10_000_000, description="largest body of a request; a request with a larger body is refused"
    )
    client: ClientSettings = ClientSettings()
    url: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None,
        description="address of the status page in links for people; default http://<listen>",
    )


class LogSettings(Settings):
    """Level and format of the daemon's log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level of the messages that are logged"
    )
    format: Literal["text", "json"] = Field(
        "text", description="text for people, json for programs"
    )


class RetentionSettings(Settings):
    """How long results are kept, counted from the time at which the results were made."""

    scores: Age = Field(timedelta(days=90), description="scores of records that were not flagged")
    anomalies: Age = Field(
        timedelta(days=1095), description="flagged records, with their scores and reasons"
    )
    runs: Age = Field(timedelta(days=90), description="the ledger")
    artifacts: Age = Field(
        timedelta(days=90), description="weights of retired detectors; their other data stay"
    )
    every: Pause = Field(timedelta(hours=1), description="pause between two rounds of removal")


class ReplicaSettings(Settings):
    """Settings for several daemons that share a store."""

    name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="this daemon's own name; default: made of host name and process number",
    )
    lease: Duration = Field(
        timedelta(seconds=30),
        description="a daemon without a heartbeat for this time loses its monitors",
    )
