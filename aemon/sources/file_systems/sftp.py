"""SFTP with checked host keys and with time limits for answers."""

from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 60.0
"""A server that does not answer a request within this time is unreachable."""

_KEEPALIVE_SECONDS = 30


class CheckedSftp(SFTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files over SFTP from servers with known host keys.

    fsspec's own class accepts any key of an unknown server.

    Args:
        host: the server.
        known_hosts: a file with host keys, read in addition to ~/.ssh/known_hosts.
        host_key_policy: what happens with an unknown server (reject, warning or auto_add).
        options: options of `paramiko.SSHClient.connect`.

    Raises:
        ValueError: the policy is unknown.
    """

    def __init__(
        self,
        host: str,
        *,
        known_hosts: str | None = None,
        host_key_policy: str = "reject",
        **options: Any,
    ) -> None:
        policies = {
            "reject": paramiko.RejectPolicy,
            "warning": paramiko.WarningPolicy,
            "auto_add": paramiko.AutoAddPolicy,
        }
        if host_key_policy not in policies:
            raise ValueError(f"host_key_policy is one of {', '.join(policies)}")
        self._known_hosts = known_hosts
        self._policy = policies[host_key_policy]
        times = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), CONNECT_SECONDS)
        super().__init__(host, **{**times, **options})

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys()
        if self._known_hosts is not None:
            self.client.load_host_keys(self._known_hosts)
        self.client.set_missing_host_key_policy(self._policy())
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
            self.client.get_transport().set_keepalive(_KEEPALIVE_SECONDS)
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(ANSWER_SECONDS)
        except BaseException:
            self.client.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self.client.close()
