"""Structured logs: one line an event, with an `action` from a small vocabulary."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from aemon.records import Job, Outcome

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Action(StrEnum):
    """The vocabulary of the logs: every `action`, with what it means.

    The end of a run is logged as `job.outcome`, such as `score.ok` or `train.timed_out`.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Make a member that carries its meaning."""
        action = str.__new__(cls, word)
        action._value_ = word
        action.meaning = meaning
        return action

    STARTED = "started", "the daemon watches"
    STOPPING = "stopping", "it was told to end"
    STOPPED = "stopped", "it has ended; `clean` if every run had"
    CLOCK_SET = "clock.set", "the clock was set by some seconds: all jobs tick now"
    SCHEDULER_FAILED = (
        "scheduler.failed",
        "ticks or threads could not be started, for the reason told",
    )
    ANOMALY = "anomaly", "a record was flagged, with its reason"
    EPISODE_OPENED = "episode.opened", "anomalies in a row have become an episode"
    EPISODE_CLOSED = "episode.closed", "an episode is over: enough calm records followed"
    NOTIFY_SENT = "notify.sent", "a receiver was told of an episode"
    NOTIFY_FAILED = "notify.failed", "a receiver could not be told; it is tried again"
    NOTIFY_DEAD = "notify.dead", "a receiver will not be told: see `aemon notify list --dead`"
    NOTIFY_TEMPLATE = (
        "notify.template",
        "a receiver's template cannot be filled: the usual text is sent",
    )
    NOTIFY_CRASHED = (
        "notify.crashed",
        "telling failed in a way that nobody foresaw; the traceback follows",
    )
    RUN_CRASHED = "run.crashed", "a run failed in a way that nobody foresaw; the traceback follows"
    RUNS_LOST = (
        "runs.lost",
        "runs that ended with an earlier daemon are called abandoned in the ledger",
    )
    TRAIN_STARTED = "train.started", "a worker trains a detector, for the reason told"
    DETECTOR_PROMOTED = "detector.promoted", "the detector on trial became the active one"
    DETECTOR_REJECTED = "detector.rejected", "the detector on trial was no better"
    DETECTOR_UNREADABLE = "detector.unreadable", "a stored detector cannot be read"
    THRESHOLD_MOVED = "threshold.moved", "the lines of a detector were drawn anew"
    DRIFT_FOUND = "drift.found", "normal life has moved"
    DRIFT_OVER = "drift.over", "it came back by itself"
    ENTITY_SILENT = "entity.silent", "an entity sends no records, while others do"
    ENTITY_BACK = "entity.back", "a silent entity sends records again"
    RATE_UNUSUAL = "rate.unusual", "many more or many fewer records come than ever in training"
    RATE_USUAL = "rate.usual", "as many records come as in training again"
    CONFIG_RELOADED = (
        "config.reloaded",
        "the configuration was read again, and what of it is another",
    )
    CONFIG_REFUSED = "config.refused", "the configuration is wrong: nothing was changed"
    WEB_OPEN = (
        "web.open",
        "the port can be reached from elsewhere without credentials, or without TLS",
    )
    WEB_RELOADED = "web.reloaded", "the web configuration or a certificate was read again"
    WEB_REFUSED = (
        "web.refused",
        "the web configuration or a certificate is wrong: what was in use stays so",
    )
    WEB_IGNORED = "web.ignored", "a key of the web configuration has no effect here"
    WEB_DENIED = (
        "web.denied",
        "wrong credentials were shown; told once a minute, with how many `times` since",
    )
    WEB_HOST = (
        "web.host",
        "a request came under a name that `http.hosts` does not list; told once a minute, with `times`",
    )
    WEB_STALLED = "web.stalled", "no connection can be accepted, for the reason told"
    LEASE_TAKEN = "lease.taken", "monitors are watched here from now on"
    LEASE_LOST = (
        "lease.lost",
        "another replica took monitors, for this one had not said that it lives",
    )
    LEASE_RETURNED = "lease.returned", "monitors were given back, for others to watch"
    LEASE_FAILED = "lease.failed", "the store was not reached to say that this replica lives"
    STORE_BACK = "store.back", "the store can be written again"
    STORE_JUNK = (
        "store.junk",
        "the store holds a value that aemon did not write: it is passed over",
    )
    LEDGER_FAILED = "ledger.failed", "an ended run cannot be written into the ledger; it waits"
    LEDGER_DROPPED = "ledger.dropped", "an ended run will never be in the ledger"
    INBOX_FAILED = (
        "inbox.failed",
        "records of a stream could not be read or written; they wait, and it is tried again",
    )
    INBOX_LOST = "inbox.lost", "so many records of a stream are lost, for the reason given"
    PRUNE_HELD = "prune.held", "no old results are removed yet: the clock may be wrong"
    PRUNE_FAILED = "prune.failed", "old results were not removed; the next round tries again"


RUN_ENDS = tuple(f"{job}.{outcome}" for job in Job for outcome in Outcome if outcome != "running")
"""What a run's end is called in the logs."""


def escaped(text: str) -> str:
    r"""Return text as a terminal can show it: what would move its cursor or its letters is escaped.

    Line breaks and tabs stay.

    >>> escaped("a\x1b[2J \u202eb")
    'a\\x1b[2J \\u202eb'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else _escape(letter) for letter in text
    )


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def log(logger: logging.Logger, level: int, action: str, message: str = "", **fields: Any) -> None:
    """Log one event. `action` says what happened in one or two words: `run.ended`, `stopped`."""
    logger.log(level, message, extra={"action": action, **fields}, stacklevel=2)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class TextFormatter(logging.Formatter):
    """For people: time, level, action, message, then key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows where there is one."""
        fields = _fields(record)
        action = fields.pop("action", record.name)
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        details = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        message = "; ".join(record.getMessage().splitlines())
        parts = [time, record.levelname.lower(), action, message, details]
        line = escaped(" ".join(part for part in parts if part))
        if record.exc_info:
            return f"{line}\n{escaped(self.formatException(record.exc_info))}"
        return line


class JsonFormatter(logging.Formatter):
    """For machines: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, traceback included."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up_logs(level: str, form: Literal["text", "json"]) -> None:
    """Send all logs to standard error in one form; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("aemon").setLevel(level.upper())
    # APScheduler warns of every missed run; those become ledger rows and metrics here.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # Uvicorn warns of every request that is no HTTP: whoever sends many would fill the logs.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _plain(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return json.dumps(text) if " " in text or not text or not text.isprintable() else text
