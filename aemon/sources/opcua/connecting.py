"""Makes the client of an OPC UA server, and converts errors of the library to errors of aemon."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua import uaerrors
from cryptography import x509

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.opcua.settings import OpcUaSource

ANSWER_SECONDS = 10.0  # longest wait for an answer
PROBE_SECONDS = 5.0  # time between two checks whether the server still answers
SESSION = timedelta(minutes=2)  # after this time without requests, the server ends a session

_POLICIES: dict[str, Any] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES = {
    "sign": ua.MessageSecurityMode.Sign,
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
_USER = "check user and password, and that the server allows this user"
_CERTIFICATE = "set the server to trust aemon's certificate, and check that cert_file is valid"
_POLICY = "set the security and policy that the server offers, and its own server_cert_file"
_REFUSALS: dict[type[Exception], str] = {
    uaerrors.BadUserAccessDenied: _USER,
    uaerrors.BadIdentityTokenInvalid: _USER,
    uaerrors.BadIdentityTokenRejected: _USER,
    uaerrors.BadSecurityChecksFailed: _CERTIFICATE,
    uaerrors.BadCertificateUntrusted: _CERTIFICATE,
    uaerrors.BadCertificateInvalid: _CERTIFICATE,
    uaerrors.BadCertificateTimeInvalid: _CERTIFICATE,
    uaerrors.BadCertificateUriInvalid: _CERTIFICATE,
    uaerrors.BadSecurityPolicyRejected: _POLICY,
    uaerrors.BadSecurityModeRejected: _POLICY,
}
"""Error in the server's answer -> what a person must do."""


async def new_client(settings: OpcUaSource) -> Client:
    """Return a client that is not connected.

    Raises:
        SourceConfigError: a certificate or a key cannot be read.
    """
    client = Client(settings.url, timeout=ANSWER_SECONDS, watchdog_intervall=PROBE_SECONDS)
    client.name = client.description = "aemon"
    client.application_uri = "urn:aemon"
    client.session_timeout = round(SESSION.total_seconds() * 1000)
    if settings.security != "none":
        await _protect(client, settings)
    if settings.user is not None and settings.password is not None:
        client.set_user(settings.user)
        client.set_password(settings.password.get_secret_value())
    return client


async def _protect(client: Client, settings: OpcUaSource) -> None:
    named = {key: getattr(settings, key) for key in ("cert_file", "key_file", "server_cert_file")}
    for key, path in named.items():
        if not path.is_file():
            raise SourceConfigError(f"{key} {path} is not a readable file")
    # The server compares the application's name with the name in the certificate.
    client.application_uri = _uri_of(_certificate("cert_file", named["cert_file"]))
    _certificate("server_cert_file", named["server_cert_file"])
    own, own_key, its = (
        uacrypto.CertProperties(path, extension=_extension(path)) for path in named.values()
    )
    try:
        await client.set_security(
            _POLICIES[settings.policy],
            certificate=own,
            private_key=own_key,
            server_certificate=its,
            mode=_MODES[settings.security],
        )
    except (ValueError, TypeError):
        raise SourceConfigError(
            f"key_file {settings.key_file} does not hold a key as PEM or DER, or the key is encrypted"
        ) from None


def _certificate(key: str, path: Path) -> x509.Certificate:
    content = path.read_bytes()
    load = (
        x509.load_pem_x509_certificate
        if _extension(path) == "pem"
        else x509.load_der_x509_certificate
    )
    try:
        return load(content)
    except ValueError:
        raise SourceConfigError(f"{key} {path} does not hold a certificate as PEM or DER") from None


def _extension(path: Path) -> str:
    """Return the format of a file, pem or der, found from its content and not from its name."""
    return "pem" if path.read_bytes().lstrip().startswith(b"-----BEGIN") else "der"


def _uri_of(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "urn:aemon"
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "urn:aemon")


def problem_of(error: BaseException, settings: OpcUaSource) -> AemonError:
    """Return the error of aemon for an error of the library."""
    where = f"the OPC UA server {settings.url}"
    for kind, todo in _REFUSALS.items():
        if isinstance(error, kind):
            return SourceConfigError(f"{where} refuses: {type(error).__name__}", todo=todo)
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    else:
        text = str(getattr(error, "strerror", None) or error or type(error).__name__)
    return SourceError(
        f"{where} cannot be read: {text}",
        todo="check that the server is running, check host and port, and the security it requires",
    )
