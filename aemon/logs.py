"""Structured logs: one line an event, with an `action` from a small vocabulary."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from aemon.records import Job, Outcome

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


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
        line = " ".join(part for part in parts if part)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


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


ACTIONS: Mapping[str, str] = {
    "started": "the daemon watches",
    "stopping": "it was told to end",
    "stopped": "it has ended; `clean` if every run had",
    "clock.set": "the clock was set by some seconds: all jobs tick now",
    "anomaly": "a record was flagged, with its reason",
    "episode.opened": "anomalies in a row have become an episode",
    "episode.closed": "an episode is over: enough calm records followed",
    "notify.sent": "a receiver was told of an episode",
    "notify.failed": "a receiver could not be told; it is tried again",
    "notify.dead": "a receiver will not be told: see `aemon notify list --dead`",
    "notify.crashed": "telling failed in a way that nobody foresaw; the traceback follows",
    "run.crashed": "a run failed in a way that nobody foresaw; the traceback follows",
    "runs.lost": "runs that ended with an earlier daemon are called abandoned in the ledger",
    "train.started": "a worker trains a detector, for the reason told",
    "detector.promoted": "the detector on trial became the active one",
    "detector.rejected": "the detector on trial was no better",
    "detector.unreadable": "a stored detector cannot be read",
    "threshold.moved": "the lines of a detector were drawn anew",
    "drift.found": "normal life has moved",
    "drift.over": "it came back by itself",
    "config.reloaded": "the configuration was read again, and what of it is another",
    "config.refused": "the configuration is wrong: nothing was changed",
    "web.open": "the port can be reached from elsewhere without credentials, or without TLS",
    "web.reloaded": "the web configuration or a certificate was read again",
    "web.refused": "the web configuration or a certificate is wrong: what was in use stays so",
    "web.ignored": "a key of the web configuration has no effect here",
    "web.denied": "wrong credentials were shown; told once a minute, with how many `times` since",
    "web.stalled": "no connection can be accepted, for the reason told",
    "lease.taken": "monitors are watched here from now on",
    "lease.lost": "another replica took monitors, for this one had not said that it lives",
    "lease.returned": "monitors were given back, for others to watch",
    "lease.failed": "the store was not reached to say that this replica lives",
    "store.back": "the store can be written again",
    "ledger.failed": "an ended run cannot be written into the ledger; it waits",
    "ledger.dropped": "an ended run will never be in the ledger",
    "prune.failed": "old results were not removed; the next round tries again",
}

RUN_ENDS = tuple(f"{job}.{outcome}" for job in Job for outcome in Outcome if outcome != "running")
"""What a run's end is called in the logs."""
