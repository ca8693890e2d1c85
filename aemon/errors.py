"""What can go wrong; the class of an error says what the caller must do about it.

Every message names the thing at fault (file, line, key, column, row); `todo` says what to do.
The runner that catches one writes it into the ledger; the command line prints it and exits
with `exit_code`.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What `aemon` returns to the shell."""

    OK = 0
    FAILED = 1  # something failed that may work later
    USAGE = 2  # the command line itself is wrong
    CONFIG = 3  # the configuration needs a change
    SOURCE = 4  # the source could not be read
    STORE = 5  # the results database is unusable
    DATA = 6  # the records cannot be learned from or judged
    NO_DETECTOR = 7  # nothing has been trained yet


class Remedy(StrEnum):
    """What the caller must do about an error. `runner` and `lifecycle.policy` read it."""

    RETRY = "retry"  # the same call may work soon
    WAIT = "wait"  # it works once more records have come
    SKIP = "skip"  # nothing: somebody else has done the work, or it is not wanted any more
    ASK = "ask"  # a person must change something


class AemonError(Exception):
    """The root of every error aemon raises on purpose."""

    exit_code = ExitCode.FAILED
    remedy = Remedy.ASK

    def __init__(self, message: str, *, todo: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.message} ({self.todo})" if self.todo else self.message


class PermanentError(AemonError):
    """A person must change something: trying again will not help."""


class RetriableError(AemonError):
    """The same call may work at the next run."""

    remedy = Remedy.RETRY


class SkipError(AemonError):
    """There is nothing to do now, and that is no failure."""

    exit_code = ExitCode.OK
    remedy = Remedy.SKIP


class ConfigError(PermanentError):
    """The configuration is wrong."""

    exit_code = ExitCode.CONFIG


class FrameError(PermanentError):
    """The records do not fit: a column is missing or is no longer what it was."""

    exit_code = ExitCode.DATA


class TrainingError(AemonError):
    """Nothing can be learned from these records; more of them may do."""

    exit_code = ExitCode.DATA
    remedy = Remedy.WAIT


class ArtifactError(PermanentError):
    """A stored detector cannot be read."""

    exit_code = ExitCode.STORE


class DetectorError(PermanentError):
    """There is no such detector, or not what is asked of it."""

    exit_code = ExitCode.NO_DETECTOR


class NoResultsError(PermanentError):
    """There are no results to read yet, or no detector to read them with."""

    exit_code = ExitCode.NO_DETECTOR


class NotFoundError(PermanentError):
    """The store has no such record, episode, snooze or notification."""

    exit_code = ExitCode.DATA


class AmbiguousError(PermanentError):
    """Several records fit what was asked for."""

    exit_code = ExitCode.USAGE


class UnknownTopicError(PermanentError):
    """The documentation has no such page or word."""

    exit_code = ExitCode.USAGE


class SchemaError(PermanentError):
    """The results database has another schema than this version of aemon."""

    exit_code = ExitCode.STORE


class TransferError(PermanentError):
    """A file of exported results cannot be written, or not be imported as it is."""

    exit_code = ExitCode.STORE


class SourceConfigError(PermanentError):
    """The source exists but cannot be read as configured: a table or column is not there."""

    exit_code = ExitCode.SOURCE


class SourceError(RetriableError):
    """The source cannot be read at the moment."""

    exit_code = ExitCode.SOURCE


class StoreError(RetriableError):
    """The results database cannot be reached or written at the moment."""

    exit_code = ExitCode.STORE


class RefusedError(PermanentError):
    """The results database is well, but refuses these rows."""

    exit_code = ExitCode.STORE


class WorkerError(RetriableError):
    """A training worker died, was killed or ran out of its time."""


class ResourceError(RetriableError):
    """The machine has no thread, process or open file to give at the moment."""
