"""Structured logs: one line an event, with an `action` from a small vocabulary."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

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
