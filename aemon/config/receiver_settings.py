"""What a configuration may say of whom aemon tells of episodes by itself."""

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
"""What ended longer ago, by its records' own times, is no news."""


def _kind_required(schema: dict[str, Any]) -> None:
    schema["required"] = ["kind", *schema.get("required", ())]


class BasicAuth(Settings):
    """A user and a password."""

    username: str = Field(description="the user")
    password: SecretStr = Field(description="the password")


class ReceiverSettings(Settings):
    """Somebody who is told of episodes, over HTTP; what every kind has."""

    model_config = ConfigDict(json_schema_extra=_kind_required)

    url: SecretStr = Field(description="where to; secret, for who knows a Slack URL may post there")
    monitors: tuple[str, ...] | None = Field(None, description="tell of these only; default all")
    severity: Literal["warning", "critical"] = Field(
        "warning", description="least severity of an episode that is told"
    )
    headers: dict[str, SecretStr] = Field({}, description="HTTP headers to send along")
    bearer_token: SecretStr | None = Field(None, description="credentials, as a bearer token")
    basic_auth: BasicAuth | None = Field(None, description="or as a user and a password")
    ca_file: Path | None = Field(
        None, description="certificates to trust, as PEM; default the system's"
    )
    timeout: Duration = Field(
        timedelta(seconds=10), description="longest time for one try, from connecting to the answer"
    )
    give_up_after: Duration = Field(
        timedelta(days=1), description="what could not be told for so long becomes a dead letter"
    )
    oldest: Age = Field(
        BACKLOG,
        description="episodes that ended longer ago, by their records' own times, are told in a summary "
        "of the backlog alone; with forever, each is told by itself",
    )
    template: str | None = Field(
        None, description="Jinja2 text of a message instead of the usual one; ${file:...} reads one"
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
                raise ValueError("a name of a header has letters, digits and '-'")
            if not plain.isprintable() or not plain.isascii():
                raise ValueError("a header is one line of ASCII characters")
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

    def tells_of(self, monitor: str) -> bool:
        """Whether a monitor's episodes are told to it."""
        return self.monitors is None or monitor in self.monitors


class AlertmanagerReceiver(ReceiverSettings):
    """An Alertmanager; each of a cluster is a receiver of its own. `template`: the description."""

    kind: Literal["alertmanager"]
    url: SecretStr = Field(description="where it is: http://alertmanager:9093")
    labels: dict[str, str] = Field({}, description="labels to add to every alert: {team: plant}")

    @field_validator("labels")
    @classmethod
    def _labels_are_prometheus(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not name.isascii() or not name.isidentifier():
                raise ValueError(f"{name!r}: a label's name has letters, digits and '_'")
            if name in OWN_LABELS:
                raise ValueError(f"{name} is given by aemon; choose another name")
        return labels


OWN_LABELS = ("alertname", "monitor", "entity", "episode", "severity")
"""Of every alert."""


class WebhookReceiver(ReceiverSettings):
    """Anything that takes JSON. `template`: the field `text`."""

    kind: Literal["webhook"]
    resolved: bool = Field(True, description="tell when an episode is over, too")
    body: str | None = Field(
        None, description="Jinja2 template of the whole JSON body, instead of the usual fields"
    )

    @model_validator(mode="after")
    def _body_is_json(self) -> Self:
        _try("body", self.body, as_json=True)
        return self


class SlackReceiver(ReceiverSettings):
    """A webhook of Slack, Mattermost or Rocket.Chat. `template`: the attachment's text."""

    kind: Literal["slack"]
    resolved: bool = Field(True, description="tell when an episode is over, too")


Receiver = Annotated[
    AlertmanagerReceiver | WebhookReceiver | SlackReceiver, Field(discriminator="kind")
]


def check_receivers(receivers: Mapping[str, ReceiverSettings], monitors: Mapping[str, Any]) -> None:
    """Whether the receivers have plain names, and tell of monitors that are there.

    Raises:
        AtKeyError: one does not.
    """
    for name, receiver in receivers.items():
        if not name.replace("-", "_").replace(".", "_").isidentifier():
            raise AtKeyError(
                ("notify", name), "a receiver's name has letters, digits, '_', '-' and '.'"
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
