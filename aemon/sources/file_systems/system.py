"""A file system of fsspec, connected at the first request; its errors hold no secrets."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EACCES, ENOENT
from typing import Any, TypeVar

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.file_systems.settings import PACKAGES, revealed, secret_texts

CREDENTIALS = (
    "check that the account in `storage` has permission to list the folder and to read its files"
)
_HOST_KEY = "not found in known_hosts"  # in a message of paramiko
_MOST_SHOWN = 300  # characters of another library's message
_T = TypeVar("_T")


class UnreachableError(SourceError):
    """A file system gives no answer or an unexpected answer; its files may still exist."""


class FileSystem:
    """A file system and the options to connect to it, connected at the first request.

    Args:
        address: address of a file or folder, which may hold the host and other options.
        scheme: scheme of the address.
        options: options of the file system; texts may be `SecretStr`.

    Attributes:
        root: the path that the address names on the file system.

    Raises:
        SourceConfigError: a package is not installed, or the address cannot be understood.
    """

    def __init__(self, address: str, scheme: str, options: Mapping[str, Any]) -> None:
        self._kind = _class_of(scheme)
        # Connections are not shared: a connection of another source may be broken.
        self._options = {
            **self._kind._get_kwargs_from_urls(address),  # noqa: SLF001 -- as fsspec itself does
            **revealed(options),
            "skip_instance_cache": True,
        }
        self._secrets = sorted(secret_texts(options), key=len, reverse=True)
        self._connected: Any = None
        self.root = str(self._kind._strip_protocol(address))  # noqa: SLF001 -- as fsspec itself does
        begins = address.rstrip("/")
        same = self.root and begins.endswith(self.root)
        self._before = begins[: len(begins) - len(self.root)] if same else f"{scheme}://"

    def address(self, path: str) -> str:
        """Return a path of this system as an address."""
        return f"{self._before}{path}"

    def ask(self, question: Callable[[Any], _T], path: str) -> _T:
        """Return the answer of the connected file system to a request.

        If the request fails over a connection that was already open, the server may have closed the
        connection. The request is then sent once more, over a new connection.

        Raises:
            FileNotFoundError: there is no such file or folder.
            PermissionError: aemon has no permission to read the file or folder.
            UnreachableError: the file system does not answer.
            SourceConfigError: an option of `storage` is wrong, or a package is not installed.
        """
        was_open = self._connected is not None
        try:
            return self._ask(question, path)
        except UnreachableError:
            if not was_open:
                raise
        return self._ask(question, path)

    def _ask(self, question: Callable[[Any], _T], path: str) -> _T:
        if self._connected is None:
            try:
                self._connected = self._kind(**self._options)
            except (TypeError, ValueError) as error:
                raise self._wrong_options(error, path) from None
            except Exception as error:  # noqa: BLE001 -- each library has its own errors
                raise self.error(error, path) from None
        try:
            return question(self._connected)
        except Exception as error:  # noqa: BLE001 -- each library has its own errors
            raise self.error(error, path) from None

    def error(self, error: Exception, path: str) -> Exception:
        """Return aemon's error for an error of a file system; close a broken connection."""
        address = self.address(path)
        if isinstance(error, AemonError):
            return error
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return FileNotFoundError(ENOENT, "no such file or folder", address)
        if isinstance(error, PermissionError):
            return PermissionError(EACCES, f"no permission to read: {self._shown(error)}", address)
        if isinstance(error, ImportError):
            return SourceConfigError(
                f"{address} needs a package that is not installed: {self._shown(error)}",
                todo=f"pip install {PACKAGES.get(address.partition(':')[0], '') or 'it'}",
            )
        self.close()
        reason = self._shown(error)
        if isinstance(error, TypeError) and "argument" in reason:  # of s3fs at the first request
            return self._wrong_options(error, path)
        todo = "aemon tries again at the next run; if that does not help, check the address, the network and `storage`"
        if _HOST_KEY in reason:
            todo = (
                "compare the key that ssh-keyscan shows for this server with the server's own key; "
                "then append the key to ~/.ssh/known_hosts, or to the file that `known_hosts` in "
                "`storage` names"
            )
        return UnreachableError(f"{address} cannot be reached: {reason}", todo=todo)

    def _wrong_options(self, error: Exception, path: str) -> SourceConfigError:
        return SourceConfigError(
            f"{self.address(path)}: its file system does not accept these options: {self._shown(error)}",
            todo=f"correct `storage`; the documentation of fsspec's {self._kind.__name__} lists "
            "all options",
        )

    def close(self) -> None:
        """Close the connection; the next request opens a new connection."""
        connected, self._connected = self._connected, None
        close = getattr(connected, "close", None)
        if close is not None:
            with suppress(Exception):  # the connection may be broken
                close()

    def _shown(self, error: BaseException) -> str:
        """Return the message of an error on one line, without secrets."""
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_MOST_SHOWN] or type(error).__name__


def _class_of(scheme: str) -> Any:
    """Return fsspec's class for the addresses of a scheme.

    Raises:
        SourceConfigError: fsspec, or the package of the file system, is not installed.
    """
    try:
        import fsspec

        if scheme in {"sftp", "ssh"}:
            from aemon.sources.file_systems.sftp import CheckedSftp

            return CheckedSftp
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        package = PACKAGES[scheme]
        if missing == "fsspec":
            raise SourceConfigError(
                f"reading {scheme}:// needs fsspec, which is not installed",
                todo=f"pip install 'aemon[remote-files]'{f' {package}' if package else ''}; or mount "
                "the place as a folder (rclone mount)",
            ) from None
        if not package:
            raise
        raise SourceConfigError(
            f"reading {scheme}:// needs {package}, which is not installed",
            todo=f"pip install {package}; or mount the place as a folder (rclone mount)",
        ) from None
