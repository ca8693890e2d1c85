"""The errors that aemon raises; the class of an error says what the caller must do.

Every message names the cause (file, line, key, column, row), and `todo` says what to do. The
runner writes an error into the ledger. The command line prints it and exits with `exit_code`.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """The exit codes of `aemon`."""

    OK = 0
    FAILED = 1  # something failed that may work later
    USAGE = 2  # the command line is wrong
    CONFIG = 3  # the configuration needs a change
    SOURCE = 4  # the source could not be read
    STORE = 5  # the results database is unusable
    DATA = 6  # the records cannot be used for training, or cannot be judged
    NO_DETECTOR = 7  # no detector has been trained yet


class Remedy(StrEnum):
    """The caller's reaction to an error. `runner` and `lifecycle.policy` use it."""

    RETRY = "retry"  # the same call may work soon
    WAIT = "wait"  # the call works once there are more records
    SKIP = "skip"  # no reaction: another replica did the work, or the work is not needed now
    ASK = "ask"  # a person must change something


class AemonError(Exception):
    """The base class of all errors that aemon raises on purpose."""

    exit_code = ExitCode.FAILED
    remedy = Remedy.ASK

    def __init__(self, message: str, *, todo: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.todo = todo

    def __str__(self) -> str:
        return f"{self.message} ({self.todo})" if self.todo else self.message


class PermanentError(AemonError):
    """An error whose cause a person must remove: another attempt would fail again."""


class RetriableError(AemonError):
    """An error whose cause may be gone at the next run."""

    remedy = Remedy.RETRY


class SkipError(AemonError):
    """A reason to do nothing now; it does not count as a failure."""

    exit_code = ExitCode.OK
    remedy = Remedy.SKIP


class ConfigError(PermanentError):
    """A mistake in the configuration."""

    exit_code = ExitCode.CONFIG


class UnknownMonitorError(ConfigError):
    """A request for a monitor that the configuration does not have."""


class FrameError(PermanentError):
    """Records that do not fit the detector: a column is missing, or its type has changed."""

    exit_code = ExitCode.DATA


class TrainingError(AemonError):
    """A training that fails with these records, and may succeed with more records."""

    exit_code = ExitCode.DATA
    remedy = Remedy.WAIT


class ArtifactError(PermanentError):
    """A stored detector that cannot be read."""

    exit_code = ExitCode.STORE


class DetectorError(PermanentError):
    """A request for a detector that does not exist, or that cannot do what the request needs."""

    exit_code = ExitCode.NO_DETECTOR


class UnknownDetectorError(DetectorError):
    """A request for a version that a monitor does not have."""


class NoResultsError(PermanentError):
    """A request for results at a time when there are no results yet, or no detector."""

    exit_code = ExitCode.NO_DETECTOR


class NotFoundError(PermanentError):
    """A request for a record, episode, snooze or notification that the store does not have."""

    exit_code = ExitCode.DATA


class AmbiguousError(PermanentError):
    """A request that matches several records."""

    exit_code = ExitCode.USAGE


class QueryError(PermanentError):
    """A request for results with a condition that cannot be read, such as a wrong cursor."""

    exit_code = ExitCode.USAGE


class UnavailableFormError(PermanentError):
    """A request for results in a form, such as Parquet, whose package is not installed."""

    exit_code = ExitCode.CONFIG


class UnknownTopicError(PermanentError):
    """A request for a page or word that the documentation does not have."""

    exit_code = ExitCode.USAGE


class SchemaError(PermanentError):
    """A results database whose schema does not fit this version of aemon."""

    exit_code = ExitCode.STORE


class TransferError(PermanentError):
    """A file of exported results that cannot be written or imported."""

    exit_code = ExitCode.STORE


class SourceConfigError(PermanentError):
    """A source that cannot be read as configured: for example, a table or column is missing."""

    exit_code = ExitCode.SOURCE


class SourceError(RetriableError):
    """A source that cannot be read at the moment."""

    exit_code = ExitCode.SOURCE


class StoreError(RetriableError):
    """A results database that cannot be reached or written at the moment."""

    exit_code = ExitCode.STORE


class SlowQueryError(StoreError):
    """A query that took longer than its time limit, and was ended."""


class RefusedError(PermanentError):
    """Rows that the results database refuses, although the database works."""

    exit_code = ExitCode.STORE


class WorkerError(RetriableError):
    """A training worker that died, was killed or exceeded its time limit."""


class ResourceError(RetriableError):
    """A thread, process or open file that the machine cannot provide at the moment."""
