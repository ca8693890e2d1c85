"""TLS contexts of a web configuration."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aemon.config.bounded_yaml import MOST_SECRET_BYTES, path_shown, read_bounded
from aemon.config.values.scalars import AtKeyError
from aemon.config.web_settings import CIPHERS, CURVES, TlsSettings

_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the TLS context of the daemon's port.

    Raises:
        AtKeyError: a file of the settings cannot be read, or has the wrong content.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.maximum_version = _VERSIONS[settings.max_version]
    ciphers = [name for go in settings.cipher_suites if (name := CIPHERS[go])]
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    for curve in settings.curve_preferences:
        context.set_ecdh_curve(CURVES[curve])
    if not settings.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _readable("cert_file", settings.cert_file)
    _readable("key_file", settings.key_file)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise AtKeyError(
                "key_file", f"{settings.key_file} is not the key of {settings.cert_file}"
            ) from None
        raise AtKeyError(
            "cert_file",
            f"{settings.cert_file} and {settings.key_file} do not hold a certificate and its key "
            "as PEM",
        ) from None
    if settings.client_ca_file:
        _readable("client_ca_file", settings.client_ca_file)
        try:
            context.load_verify_locations(settings.client_ca_file)
        except ssl.SSLError:
            raise AtKeyError(
                "client_ca_file", f"{settings.client_ca_file} does not hold certificates as PEM"
            ) from None
    context.verify_mode = _VERIFY[settings.client_auth_type]
    return context


def client_context(
    settings: TlsSettings, certificate: tuple[Path, Path] | None = None
) -> ssl.SSLContext:
    """Return a TLS context that trusts a daemon's certificate, for requests on the same host.

    Host names are not compared: requests go to an address, and the certificate itself is known.

    Raises:
        OSError: a file cannot be read, or has the wrong content.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(settings.cert_file)
    if certificate is not None:
        context.load_cert_chain(*certificate, password=_no_password)
    return context


def is_allowed(certificate: dict[str, Any] | None, names: Iterable[str]) -> bool:
    """Return whether a verified certificate has one of these names, in any field for names."""
    pairs = (certificate or {}).get("subjectAltName", ())
    return not {value for _, value in pairs}.isdisjoint(names)


def _readable(key: str, path: Path) -> None:
    try:
        read_bounded(path, MOST_SECRET_BYTES)
    except OSError as error:
        reason = error.strerror or "it is a folder"
        raise AtKeyError(key, f"cannot read {path_shown(path)}: {reason}") from None
    except ValueError as error:
        raise AtKeyError(key, f"cannot read {path_shown(path)}: {error}") from None


def _no_password() -> str:
    """Return an empty password for an encrypted key, so that OpenSSL does not ask the user."""
    return ""
