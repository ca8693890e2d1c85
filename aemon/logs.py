"""Structured logs: one line for each event, with an `action` from a small vocabulary."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from aemon.records import Job, Outcome

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Action(StrEnum):
    """The words that a log line may have as its `action`, each with its meaning.

    The end of a run is logged as `job.outcome`, such as `score.ok` or `train.timed_out`.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Make a member with its meaning."""
        action = str.__new__(cls, word)
        action._value_ = word
        action.meaning = meaning
        return action

    STARTED = "started", "the daemon started and watches"
    STOPPING = "stopping", "the daemon was asked to stop"
    STOPPED = "stopped", "the daemon stopped; `clean` if every run had ended"
    CLOCK_SET = "clock.set", "the system clock was set forward or back: all jobs run now"
    SCHEDULER_FAILED = (
        "scheduler.failed",
        "ticks or threads could not be started; the message has the reason",
    )
    ANOMALY = "anomaly", "a record was flagged, with its reason"
    EPISODE_OPENED = "episode.opened", "anomalies in a row became an episode"
    EPISODE_CLOSED = "episode.closed", "an episode ended: enough calm records followed"
    NOTIFY_SENT = "notify.sent", "a receiver was notified of an episode"
    NOTIFY_FAILED = "notify.failed", "a receiver could not be notified; aemon tries again"
    NOTIFY_DEAD = "notify.dead", "a notification was given up: see `aemon notify list --dead`"
    NOTIFY_TEMPLATE = (
        "notify.template",
        "a receiver's template cannot be filled: the usual text is sent",
    )
    NOTIFY_CRASHED = (
        "notify.crashed",
        "sending failed with an unexpected error; the traceback follows",
    )
    RUN_CRASHED = "run.crashed", "a run failed with an unexpected error; the traceback follows"
    RUNS_LOST = (
        "runs.lost",
        "runs of an earlier daemon are marked as abandoned in the ledger",
    )
    TRAIN_STARTED = "train.started", "a worker trains a detector; the message has the reason"
    DETECTOR_PROMOTED = "detector.promoted", "the detector on trial became active"
    DETECTOR_REJECTED = "detector.rejected", "the detector on trial was not better and is rejected"
    DETECTOR_UNREADABLE = "detector.unreadable", "a stored detector cannot be read"
    THRESHOLD_MOVED = "threshold.moved", "the thresholds of a detector were computed again"
    DRIFT_FOUND = "drift.found", "normal data has changed"
    DRIFT_OVER = "drift.over", "normal data is as in training again"
    ENTITY_SILENT = "entity.silent", "an entity sends no records while other entities do"
    ENTITY_BACK = "entity.back", "a silent entity sends records again"
    RATE_UNUSUAL = (
        "rate.unusual",
        "far more or far fewer records arrive than at any time in training",
    )
    RATE_USUAL = "rate.usual", "records arrive at the rate of the training again"
    CONFIG_RELOADED = (
        "config.reloaded",
        "the configuration was reloaded; the message has the changed keys",
    )
    CONFIG_REFUSED = "config.refused", "the configuration has errors: nothing changed"
    WEB_OPEN = (
        "web.open",
        "other hosts can reach the port without credentials or without TLS",
    )
    WEB_RELOADED = "web.reloaded", "the web configuration or a certificate was reloaded"
    WEB_REFUSED = (
        "web.refused",
        "the web configuration or a certificate has errors: the old version stays in use",
    )
    WEB_IGNORED = "web.ignored", "a key of the web configuration has no effect in aemon"
    WEB_DENIED = (
        "web.denied",
        "a request had wrong credentials; logged once a minute: `times` such requests",
    )
    WEB_HOST = (
        "web.host",
        "a request used a host name outside `http.hosts`; logged once a minute: `times` such requests",
    )
    WEB_STALLED = "web.stalled", "no connection can be accepted; the message has the reason"
    LEASE_TAKEN = "lease.taken", "this replica watches these monitors from now on"
    LEASE_LOST = (
        "lease.lost",
        "another replica took over monitors because this replica missed its heartbeat",
    )
    LEASE_RETURNED = "lease.returned", "monitors were released for other replicas"
    LEASE_FAILED = "lease.failed", "the heartbeat of this replica could not be written to the store"
    STORE_BACK = "store.back", "the store can be written again"
    STORE_JUNK = (
        "store.junk",
        "the store holds a value that aemon did not write: it is skipped",
    )
    LEDGER_FAILED = (
        "ledger.failed",
        "an ended run cannot be written into the ledger; it waits in memory",
    )
    LEDGER_DROPPED = (
        "ledger.dropped",
        "an ended run could not be written into the ledger and is lost",
    )
    INBOX_FAILED = (
        "inbox.failed",
        "records of a stream could not be read or written; aemon tries again",
    )
    INBOX_LOST = (
        "inbox.lost",
        "records of a stream are lost; the message has their number and the reason",
    )
    TOPIC_RENEWED = (
        "topic.renewed",
        "a Kafka topic was deleted and made again; its records get keys of their own",
    )
    PRUNE_HELD = "prune.held", "no old results are removed: the system clock may be wrong"
    PRUNE_FAILED = "prune.failed", "old results were not removed; the next round tries again"


RUN_ENDS = tuple(f"{job}.{outcome}" for job in Job for outcome in Outcome if outcome != "running")
"""The actions of log lines about the end of a run, such as `score.ok`."""


def escaped(text: str) -> str:
    r"""Return text that is safe on a terminal: characters that are not printable are escaped.

    These characters could move the cursor or change the order of letters. Line breaks and tabs
    stay.

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
    """The format for people: time, level, action and message, then other fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a log entry as one line; if there is a traceback, it follows on further lines."""
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
    """The format for machines: each line is one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a log entry as one line of JSON, which contains the traceback if there is one."""
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
    """Send all logs to standard error in one form; libraries log only warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("aemon").setLevel(level.upper())
    # APScheduler warns of every missed run; aemon has ledger rows and metrics for missed runs.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # Uvicorn warns of every request that is not HTTP: a client that sends many would fill the logs.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _plain(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return json.dumps(text) if " " in text or not text or not text.isprintable() else text
