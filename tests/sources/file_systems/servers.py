"""An SFTP server of one folder for tests, with a user of the name aemon."""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import paramiko
from paramiko.sftp import SFTP_OK

USER, PASSWORD = "aemon", "hunter2 secret"


class _Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, _number: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, _username: str) -> str:
        return "password"


class _Folder(paramiko.SFTPServerInterface):
    """The files of a folder, which is / to the other side; counts the bytes that are read."""

    def __init__(self, server, folder: Path, served: "SftpServer") -> None:
        self.folder, self.served = folder, served

    def _real(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def list_folder(self, path: str):
        try:
            real = self._real(path)
            return [
                paramiko.SFTPAttributes.from_stat(one.lstat(), one.name) for one in real.iterdir()
            ]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def stat(self, path: str):
        try:
            return paramiko.SFTPAttributes.from_stat(self._real(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, _attributes):
        try:
            file = os.fdopen(os.open(self._real(path), flags), "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return _File(file, self.served)


class _File(paramiko.SFTPHandle):
    def __init__(self, file, served: "SftpServer") -> None:
        super().__init__()
        self.readfile, self.served = file, served

    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def read(self, offset: int, length: int):
        data = super().read(offset, length)
        self.served.sent += len(data) if isinstance(data, bytes) else 0
        return data

    def close(self) -> int:
        super().close()
        return SFTP_OK


class SftpServer:
    """Serves a folder on a free port of this machine until it is closed.

    Attributes:
        port: where.
        sent: bytes of files that were read.
        logins: connections that were made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent, self.logins = folder, 0, 0
        self.key = paramiko.ECDSAKey.generate()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def known_hosts(self, file: Path) -> Path:
        file.write_text(f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n")
        return file

    def cut(self) -> None:
        """Close every connection, as a server does after some time without a question."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def close(self) -> None:
        with suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for connections
        self._socket.close()
        self.cut()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.logins += 1
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler(
                "sftp", paramiko.SFTPServer, _Folder, folder=self.folder, served=self
            )
            self._transports.append(transport)
            try:
                transport.start_server(server=_Login())
            except (EOFError, paramiko.SSHException):
                continue
