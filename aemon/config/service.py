"""Settings of the daemon itself: what it serves, logs and keeps, and who shares its store."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from aemon.config.types import Age, Duration, Listen, Settings
from aemon.config.urls import checked_url


class HttpSettings(Settings):
    """Where metrics, health and the status page are served."""

    listen: Listen = Field("127.0.0.1:9464", description="host:port; loopback unless you say so")
    url: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None,
        description="where people find the status page, for links to it; default http://<listen>",
    )


class LogSettings(Settings):
    """How the daemon logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level")
    format: Literal["text", "json"] = Field("text", description="for people or for machines")


class RetentionSettings(Settings):
    """How long results are kept, counted from when they were made."""

    scores: Age = Field(timedelta(days=90), description="scores of records that were not flagged")
    anomalies: Age = Field(
        timedelta(days=1095), description="flagged records, with their scores and reasons"
    )
    runs: Age = Field(timedelta(days=90), description="the ledger")
    artifacts: Age = Field(
        timedelta(days=90), description="weights of retired detectors; what is said of them stays"
    )
    every: Duration = Field(timedelta(hours=1), description="pause between two rounds of removal")


class ReplicaSettings(Settings):
    """How several daemons share one store."""

    name: str | None = Field(
        None, min_length=1, description="this daemon's own name; default host name and process"
    )
    lease: Duration = Field(
        timedelta(seconds=30),
        description="a daemon that does not say for so long that it lives loses its monitors",
    )
