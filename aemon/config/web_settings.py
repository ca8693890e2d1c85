"""The web configuration: TLS, users, tokens and permissions of requests to the daemon.

The format is that of Prometheus' exporters (exporter-toolkit, web-configuration.md), so that
exporters can use the same file. Only aemon knows the keys `bearer_tokens`, `permissions`,
`monitors` and `proxy`.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)

from aemon.clock import parse_duration
from aemon.config.document import Document, read_document
from aemon.config.problems import explain, in_order
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.errors import ConfigError

# Names of cipher suites in the format (Go's names) -> OpenSSL's names. The suites of TLS 1.3 are
# always on, also in Go.
CIPHERS: Mapping[str, str] = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    **{
        f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
        for key in ("ECDSA", "RSA")
        for go, openssl in (
            ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
            ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
            ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
            ("AES_128_CBC_SHA", "AES128-SHA"),
            ("AES_256_CBC_SHA", "AES256-SHA"),
        )
    },
}
CURVES: Mapping[str, str] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# Headers that a file may set -> their allowed values; () allows any value.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
_BCRYPT = re.compile(
    r"\$2[abxy]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)
_TOKEN = re.compile(r"sha256:[0-9a-f]{64}")
_INLINE = {"cert": "cert_file", "key": "key_file", "client_ca": "client_ca_file"}

Permission = Literal["read", "feedback", "push", "admin"]
"""What a client may do.

`read` allows GET, HEAD and OPTIONS; `feedback` allows what people say about records and episodes;
`push` allows new records; `admin` allows all of it, and changes of detectors.
"""

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]


class TlsSettings(Settings):
    """TLS of the daemon: the daemon's certificate, and the requirements for clients."""

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = Field((), max_length=1)

    @model_validator(mode="before")
    @classmethod
    def _is_supported(cls, given: object) -> object:
        """Raise an error for keys and values that the format has, but aemon does not support."""
        if not isinstance(given, dict):
            return given
        for key, instead in _INLINE.items():
            if key in given:
                raise AtKeyError(key, f"is read from a file only; name the file in {instead}")
        if given.get("client_auth_type") in ("RequestClientCert", "RequireAnyClientCert"):
            raise AtKeyError(
                "client_auth_type",
                "accepts certificates that are not verified; use RequireAndVerifyClientCert",
            )
        for key in ("min_version", "max_version"):
            if given.get(key) in ("TLS10", "TLS11"):  # not a set: a list or mapping has no hash
                raise AtKeyError(
                    key, "TLS before 1.2 is broken and not offered; use TLS12 or TLS13"
                )
        curves = given.get("curve_preferences")
        if isinstance(curves, list) and len(curves) > 1:
            raise AtKeyError(
                "curve_preferences",
                "only one curve can be set; name one curve, or leave the key out",
            )
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        verifies = self.client_auth_type != "NoClientCert"
        if self.client_ca_file and not verifies:
            raise AtKeyError(
                "client_ca_file",
                "has no effect without client_auth_type: RequireAndVerifyClientCert",
            )
        if verifies and not self.client_ca_file:
            raise AtKeyError(
                "client_auth_type", "verifies certificates against client_ca_file; add this key"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise AtKeyError(
                "client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert"
            )
        if self.min_version > self.max_version:
            raise AtKeyError("min_version", "is above max_version")
        for key, names, known in (
            ("cipher_suites", self.cipher_suites, CIPHERS),
            ("curve_preferences", self.curve_preferences, CURVES),
        ):
            for name in names:
                if name not in known:
                    raise AtKeyError(key, f"{name!r} is not known; known are: {', '.join(known)}")
        return self

    def beside(self, folder: Path) -> Self:
        """Return the same settings, with relative paths of files resolved from a folder."""
        files = ("cert_file", "key_file", "client_ca_file")
        found = {key: folder / path for key in files if (path := getattr(self, key))}
        return self.model_copy(update=found)


class HttpServerSettings(Settings):
    """HTTP settings for every response."""

    http2: bool | None = None  # aemon has no HTTP/2; a file that switches HTTP/2 on is accepted
    headers: dict[str, str] = Field({})

    @field_validator("headers")
    @classmethod
    def _may_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name not in HEADERS:
                raise AtKeyError(name, f"cannot be set; allowed are: {', '.join(HEADERS)}")
            if value and HEADERS[name] and value not in HEADERS[name]:
                raise AtKeyError(name, f"must be {' or '.join(HEADERS[name])}")
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise AtKeyError(name, "must be one line of ASCII text")
        return headers


def _interval(value: object) -> object:
    if isinstance(value, str) and value.strip(" 0smhd"):
        return parse_duration(value)
    if value == 0 or isinstance(value, str):
        return timedelta(0)
    raise ValueError("write a duration with its unit, for example 1s; 0 for no limit")


class RateLimitSettings(Settings):
    """The limit for requests: one request per interval, and `burst` more requests at once."""

    interval: Annotated[timedelta, BeforeValidator(_interval)] = timedelta(0)
    burst: int = Field(0, ge=0, le=1_000_000_000)


class ProxySettings(Settings):
    """A reverse proxy that signs people in, and passes on their names in a header."""

    addresses: tuple[IPvAnyNetwork, ...] = Field(min_length=1)
    user_header: str = Field("X-Forwarded-User", pattern=r"^[A-Za-z0-9-]+$")

    def is_trusted(self, address: str) -> bool:
        """Return whether an address is that of the proxy."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.addresses)


class WebSettings(Settings):
    """A web configuration."""

    tls_server_config: TlsSettings | None = None
    http_server_config: HttpServerSettings = HttpServerSettings()
    basic_auth_users: dict[str, str] = Field({}, repr=False)  # name -> bcrypt hash
    bearer_tokens: dict[str, str] = Field({}, repr=False)  # name -> sha256:hex
    permissions: dict[str, tuple[Permission, ...]] = Field({})
    monitors: dict[str, tuple[str, ...]] = Field({})  # user or token -> names or patterns
    proxy: ProxySettings | None = None
    rate_limit: RateLimitSettings = RateLimitSettings()

    @model_validator(mode="before")
    @classmethod
    def _empty_means_nothing(cls, given: object) -> object:
        """Remove keys whose value is missing or empty, such as `tls_server_config: {}`."""
        if not isinstance(given, dict):
            return given
        nothing = [key for key in cls.model_fields if given.get(key) in (None, {})]
        return {key: value for key, value in given.items() if key not in nothing}

    @field_validator("basic_auth_users")
    @classmethod
    def _hashed(cls, users: dict[str, str]) -> dict[str, str]:
        for name, kept in users.items():
            if not name or ":" in name:
                raise AtKeyError(name, "a user's name must not be empty or contain ':'")
            if not _BCRYPT.fullmatch(kept):
                raise AtKeyError(
                    name,
                    "is not a bcrypt hash, and passwords must not be in plain text; "
                    "`aemon web password` or `htpasswd -nB` makes a hash",
                )
        return users

    @field_validator("bearer_tokens")
    @classmethod
    def _fingerprinted(cls, tokens: dict[str, str]) -> dict[str, str]:
        for name, kept in tokens.items():
            if not _TOKEN.fullmatch(kept):
                raise AtKeyError(
                    name,
                    "must be `sha256:` and 64 hexadecimal digits, because tokens must not be in plain text; "
                    "`aemon web token` makes a token and this hash",
                )
        return tokens

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        twice = self.bearer_tokens.keys() & self.basic_auth_users
        if twice:
            raise AtKeyError(("bearer_tokens", min(twice)), "is also a user; choose another name")
        known = self.bearer_tokens.keys() | self.basic_auth_users.keys()
        for key, names in (("permissions", self.permissions), ("monitors", self.monitors)):
            unknown = names.keys() - known
            if unknown and self.proxy is None:  # a proxy knows more users
                raise AtKeyError((key, min(unknown)), "no user or token has this name")
        return self

    @property
    def takes_credentials(self) -> bool:
        """Whether requests need a user or a token."""
        return bool(self.basic_auth_users or self.bearer_tokens or self.proxy)

    @property
    def takes_certificate(self) -> bool:
        """Whether requests need a verified certificate."""
        tls = self.tls_server_config
        return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"

    @property
    def allows_push(self) -> bool:
        """Whether any user, token or certificate may use methods that change something."""
        if not self.takes_credentials:
            return self.takes_certificate
        return any({"push", "admin"} & set(granted) for granted in self.permissions.values())

    @property
    def ignored(self) -> str:
        """A message about settings that have no effect; empty if all settings have an effect."""
        if self.http_server_config.http2:
            return "http_server_config.http2: HTTP/2 is not offered, only HTTP/1.1 is offered"
        return ""


def read_web_config(
    path: Path, env: Mapping[str, str] = os.environ
) -> tuple[WebSettings, Document]:
    """Read and validate a web configuration; its relative paths start at the file's folder.

    Raises:
        ConfigError: the configuration is not valid; the message has a line
            `file:line: key: problem` for each problem.
    """
    document = read_document(
        path, env,
        todo="http.web_config names the file; `aemon docs http-and-security` shows its format",
    )  # fmt: skip
    try:
        settings = WebSettings.model_validate(document.data)
    except ValidationError as error:
        problems = in_order(explain(error, document, WebSettings), document)
        raise ConfigError("\n".join(problems)) from None
    tls = settings.tls_server_config
    if tls is not None:
        settings = settings.model_copy(update={"tls_server_config": tls.beside(path.parent)})
    return settings, document


def serves_tls(path: Path | None) -> bool:
    """Return whether a daemon with this web configuration uses TLS; False if the path is None.

    Raises:
        ConfigError: the same error as in `read_web_config`.
    """
    return path is not None and read_web_config(path)[0].tls_server_config is not None
