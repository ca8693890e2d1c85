"""Certificates, users and sockets for tests of the port."""

import hashlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import trustme

PASSWORD = "open sesame"
TOKEN = "aemon_a-token-of-the-tests"
PUSH_TOKEN = "aemon_another-token"


def sha256(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


@dataclass(frozen=True)
class Keys:
    """A certificate authority, with the daemon's certificate and a client's in a folder."""

    authority: trustme.CA
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Keys":
        keys = cls(trustme.CA(), folder)
        keys.authority.cert_pem.write_to_path(str(folder / "ca.crt"))
        keys.issue("server")
        client = keys.authority.issue_cert("prometheus.example.org")
        client.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
        return keys

    def issue(self, name: str, *hosts: str) -> bytes:
        """A certificate and its key for hosts; the certificate as PEM."""
        made = self.authority.issue_cert(*(hosts or ("aemon.example.org", "127.0.0.1")))
        made.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))
        (self.folder / f"{name}.key").chmod(0o600)
        made.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.crt"))
        return made.cert_chain_pems[0].bytes()

    def trusting(self, *, client: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if client:
            context.load_cert_chain(self.folder / "client.pem")
        return context


def bcrypted(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def answer_of(connection: socket.socket, seconds: float = 10) -> bytes:
    """All that is sent until the other side closes; what a reset cut off is not missed."""
    connection.settimeout(seconds)
    heard = b""
    try:
        while part := connection.recv(65536):
            heard += part
    except ConnectionResetError:
        pass
    return heard


def ended_after(connection: socket.socket, seconds: float) -> float:
    """Seconds until the other side closes; it must be no more than given."""
    began = time.monotonic()
    answer_of(connection, seconds)
    return time.monotonic() - began
