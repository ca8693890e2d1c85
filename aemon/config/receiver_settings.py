"""Settings of receivers: the services that aemon notifies of episodes."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from aemon.config.values.addresses import check_url
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.config.values.templates import TemplateError, try_template
from aemon.config.values.times import Age, Duration

BACKLOG = timedelta(days=7)
"""Default age limit: an episode that ended longer ago than this has no own notification.

The age of an episode counts from the event time of its last anomaly.
"""


def _kind_required(schema: dict[str, Any]) -> None:
    schema["required"] = ["kind", *schema.get("required", ())]


class BasicAuth(Settings):
    """A user and a password."""

    username: str = Field(description="the user")
    password: SecretStr = Field(description="the password")


class ReceiverSettings(Settings):
    """A receiver of notifications over HTTP, with the settings that all kinds have."""

    model_config = ConfigDict(json_schema_extra=_kind_required)

    url: SecretStr = Field(
        description="address of the receiver; secret, because anyone who has a Slack URL can post"
    )
    monitors: tuple[str, ...] | None = Field(
        None, description="notify only of episodes of these monitors; default all"
    )
    severity: Literal["warning", "critical"] = Field(
        "warning", description="lowest severity of the episodes that are notified"
    )
    headers: dict[str, SecretStr] = Field({}, description="HTTP headers to send")
    bearer_token: SecretStr | None = Field(
        None, description="bearer token that is sent to the receiver"
    )
    basic_auth: BasicAuth | None = Field(
        None, description="user and password that are sent, instead of a bearer token"
    )
    ca_file: Path | None = Field(
        None, description="file of trusted certificates, as PEM; default: those of the system"
    )
    timeout: Duration = Field(
        timedelta(seconds=10),
        description="longest time for one attempt, from the connection to the response",
    )
    give_up_after: Duration = Field(
        timedelta(days=1),
        description="a notification that cannot be sent for this time becomes a dead letter",
    )
    oldest: Age = Field(
        BACKLOG,
        description="an episode that ended longer ago than this, by the event times of its records, is "
        "only part of a summary of the backlog; forever: each episode has its own notification",
    )
    template: str | None = Field(
        None,
        description="Jinja2 template of a message, instead of the default message; ${file:...} "
        "reads a template from a file",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        check_url(url.get_secret_value())
        return url

    @field_validator("headers")
    @classmethod
    def _headers_are_one_line(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            plain = value.get_secret_value()
            if not name.isascii() or not name.replace("-", "").isalnum():
                raise ValueError("a header's name may have letters, digits and '-'")
            if not plain.isprintable() or not plain.isascii():
                raise ValueError("a header must be one line of ASCII characters")
        return headers

    @model_validator(mode="after")
    def _one_of_the_credentials(self) -> Self:
        if self.bearer_token is not None and self.basic_auth is not None:
            raise ValueError("give either bearer_token or basic_auth, not both")
        return self

    @model_validator(mode="after")
    def _template_can_be_filled(self) -> Self:
        _try("template", self.template)
        return self

    def notifies_of(self, monitor: str) -> bool:
        """Return whether the receiver is notified of a monitor's episodes."""
        return self.monitors is None or monitor in self.monitors


class AlertmanagerReceiver(ReceiverSettings):
    """An Alertmanager; each member of a cluster is configured as a separate receiver.

    The text of `template` becomes the annotation `description`.
    """

    kind: Literal["alertmanager"]
    url: SecretStr = Field(description="address of the Alertmanager: http://alertmanager:9093")
    labels: dict[str, str] = Field({}, description="labels to add to every alert: {team: plant}")

    @field_validator("labels")
    @classmethod
    def _labels_are_prometheus(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not name.isascii() or not name.isidentifier():
                raise ValueError(f"{name!r}: a label's name may have letters, digits and '_'")
            if name in OWN_LABELS:
                raise ValueError(f"{name} is set by aemon; choose another name")
        return labels


OWN_LABELS = ("alertname", "monitor", "entity", "episode", "severity")
"""Labels that aemon sets on every alert."""


class WebhookReceiver(ReceiverSettings):
    """A web service that accepts JSON. The text of `template` becomes the field `text`."""

    kind: Literal["webhook"]
    resolved: bool = Field(True, description="also notify when an episode has ended")
    body: str | None = Field(
        None, description="Jinja2 template of the whole JSON body, instead of the default fields"
    )

    @model_validator(mode="after")
    def _body_is_json(self) -> Self:
        _try("body", self.body, as_json=True)
        return self


class SlackReceiver(ReceiverSettings):
    """A webhook of Slack, Mattermost or Rocket.Chat.

    The text of `template` becomes the text of the attachment.
    """

    kind: Literal["slack"]
    resolved: bool = Field(True, description="also notify when an episode has ended")


Receiver = Annotated[
    AlertmanagerReceiver | WebhookReceiver | SlackReceiver, Field(discriminator="kind")
]


def check_receivers(receivers: Mapping[str, ReceiverSettings], monitors: Mapping[str, Any]) -> None:
    """Check that receivers have plain names, and that their monitors exist.

    Raises:
        AtKeyError: a name is not plain, or a monitor does not exist.
    """
    for name, receiver in receivers.items():
        if not name.replace("-", "_").replace(".", "_").isidentifier():
            raise AtKeyError(
                ("notify", name), "a receiver's name may have letters, digits, '_', '-' and '.'"
            )
        for monitor in receiver.monitors or ():
            if monitor not in monitors:
                raise AtKeyError(("notify", name, "monitors"), f"there is no monitor {monitor!r}")


def _try(key: str, template: str | None, *, as_json: bool = False) -> None:
    if template is None:
        return
    try:
        try_template(template, as_json=as_json)
    except TemplateError as problem:
        raise AtKeyError(key, str(problem)) from None
