"""One file system of fsspec: connected when it is asked, its errors as aemon's, without secrets."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EACCES, ENOENT
from typing import Any, TypeVar

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.file_systems.settings import PACKAGES, revealed, secret_texts

CREDENTIALS = "check `storage`, and that this account may list the folder and read its files"
_HOST_KEY = "not found in known_hosts"  # as paramiko says it
_MOST_TOLD = 300  # characters of another library's message
_T = TypeVar("_T")


class UnreachableError(SourceError):
    """A file system does not answer, or not as it should: its files may all be there."""


class FileSystem:
    """A file system and how to connect to it; nothing is connected before the first question.

    Args:
        address: of a file or folder: what connects to the system is taken from it.
        scheme: of the address.
        options: of the file system; texts may be `SecretStr`.

    Attributes:
        root: the path that the address names there.

    Raises:
        SourceConfigError: a package is not installed, or the address cannot be understood.
    """

    def __init__(self, address: str, scheme: str, options: Mapping[str, Any]) -> None:
        self._kind = _class_of(scheme)
        # A connection of an earlier source, or of another monitor, may be broken: none is shared.
        self._options = {
            **self._kind._get_kwargs_from_urls(address),  # noqa: SLF001 -- fsspec's own way
            **revealed(options),
            "skip_instance_cache": True,
        }
        self._secrets = sorted(secret_texts(options), key=len, reverse=True)
        self._connected: Any = None
        self.root = str(self._kind._strip_protocol(address))  # noqa: SLF001 -- fsspec's own way
        begins = address.rstrip("/")
        same = self.root and begins.endswith(self.root)
        self._before = begins[: len(begins) - len(self.root)] if same else f"{scheme}://"

    def address(self, path: str) -> str:
        """Return a path of this system as an address."""
        return f"{self._before}{path}"

    def ask(self, question: Callable[[Any], _T], path: str) -> _T:
        """Return what the connected file system answers.

        A connection that was open before may have been closed by the other side: then the question
        is asked once more, by a new connection.

        Raises:
            FileNotFoundError: there is no such file or folder.
            PermissionError: it may not be read.
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
            except Exception as error:  # noqa: BLE001 -- each library has errors of its own
                raise self.error(error, path) from None
        try:
            return question(self._connected)
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            raise self.error(error, path) from None

    def error(self, error: Exception, path: str) -> Exception:
        """Return the error to raise for one of a file system; a broken connection is let go."""
        address = self.address(path)
        if isinstance(error, AemonError):
            return error
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return FileNotFoundError(ENOENT, "no such file or folder", address)
        if isinstance(error, PermissionError):
            told = self._told(error)
            return PermissionError(EACCES, f"may not be read: {told}", address)
        if isinstance(error, ImportError):
            return SourceConfigError(
                f"{address} needs a package that is not installed: {self._told(error)}",
                todo=f"pip install {PACKAGES.get(address.partition(':')[0], '') or 'it'}",
            )
        self.close()
        told = self._told(error)
        if isinstance(error, TypeError) and "argument" in told:  # s3fs tells when it is first asked
            return self._wrong_options(error, path)
        todo = "aemon tries again at the next run; if that does not help, check the address, the network and `storage`"
        if _HOST_KEY in told:
            todo = (
                "compare the key that ssh-keyscan shows for this server with the server's own, and "
                "append it to ~/.ssh/known_hosts, or to a file that storage names as known_hosts"
            )
        return UnreachableError(f"{address} cannot be reached: {told}", todo=todo)

    def _wrong_options(self, error: Exception, path: str) -> SourceConfigError:
        return SourceConfigError(
            f"{self.address(path)}: its file system does not take these options: {self._told(error)}",
            todo=f"correct `storage`; fsspec's {self._kind.__name__} says which it takes",
        )

    def close(self) -> None:
        """Let go of the connection; the next question makes a new one."""
        connected, self._connected = self._connected, None
        close = getattr(connected, "close", None)
        if close is not None:
            with suppress(Exception):  # of a connection that is broken
                close()

    def _told(self, error: BaseException) -> str:
        """Return what a library says, on one line and without secrets."""
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_MOST_TOLD] or type(error).__name__


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
