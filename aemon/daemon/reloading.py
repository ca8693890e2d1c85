"""Reloads the configuration while the daemon runs, and finds the changes that need a restart."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aemon.config.bounded_yaml import MOST_BYTES, read_bounded
from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.errors import AemonError, ConfigError
from aemon.logs import Action, log
from aemon.metrics.metrics import Metrics

TAKES_RESTART = ("store", "http", "replicas", "trainings_at_once")
"""A change of one of these keys is logged, and has no effect before a restart."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """The differences between two configurations.

    Attributes:
        added: new monitors.
        removed: monitors that are no longer configured.
        changed: monitors whose settings changed.
        restart: changed keys that need a restart.
        others: changed keys that need no restart.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    restart: tuple[str, ...]
    others: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.restart, self.others))

    def __str__(self) -> str:
        parts = [
            f"{', '.join(names)} {what}"
            for names, what in (
                (self.added, "added"), (self.removed, "removed"), (self.changed, "changed"),
                (self.others, "changed"), (self.restart, "changed, which needs a restart"),
            )
            if names
        ]  # fmt: skip
        return "; ".join(parts) or "nothing has changed"


def compare(old: Config, new: Config) -> Change:
    """Return the differences between an old and a new configuration."""
    both = [name for name in new.monitors if name in old.monitors]
    differing = [
        key
        for key in Config.model_fields
        if key != "monitors" and _of_the_daemon(old, key) != _of_the_daemon(new, key)
    ]
    return Change(
        added=tuple(name for name in new.monitors if name not in old.monitors),
        removed=tuple(name for name in old.monitors if name not in new.monitors),
        changed=tuple(name for name in both if old.monitors[name] != new.monitors[name]),
        restart=tuple(key for key in differing if key in TAKES_RESTART),
        others=tuple(key for key in differing if key not in TAKES_RESTART),
    )


def _of_the_daemon(config: Config, key: str) -> object:
    """Return the value of a key without `http.client`, which the daemon itself does not use."""
    return (
        config.http.model_copy(update={"client": None}) if key == "http" else getattr(config, key)
    )


class Reloading:
    """The configuration file, which is read again when its content changes, or on request.

    A change is found by the file's content, not by its times. Kubernetes replaces the whole folder
    of a ConfigMap, so the content of a linked file changes without a write to the file.

    Args:
        path: the file; None if the configuration does not come from a file, and cannot change.
        metrics: the metrics that show the outcome of reloads.
        now: returns seconds since 1970, for the metrics.

    Attributes:
        refusal: why the present content of the file is not in use; empty if it is in use.
    """

    def __init__(self, path: Path | None, metrics: Metrics, now: Callable[[], float]) -> None:
        self._path = path
        self._metrics = metrics
        self._now = now
        self.refusal = ""
        self._seen: str | None = self._fingerprint()
        self._show_success()

    def look(self, old: Config, *, requested: bool = False) -> tuple[Config, Change] | None:
        """Return a new, valid configuration and its changes; None without a new configuration.

        The caller uses the configuration, and then calls `done`, or `put_off` after a failure. An
        invalid file changes nothing, and is logged once for each content.

        Args:
            old: the configuration in use.
            requested: whether to read the file even if its content is unchanged.
        """
        seen = self._fingerprint()
        if self._path is None or not (requested or seen != self._seen):
            return None
        self._seen = seen
        try:
            new = load_config(self._path)
        except (AemonError, OSError) as error:
            reason = error.message if isinstance(error, ConfigError) else str(error)
            self._refused(f"nothing was changed: {reason}")
            return None
        change = compare(old, new)
        if change:
            return new, change
        self.done(change)
        return None

    def done(self, change: Change) -> None:
        """Note that the new configuration is in use."""
        self.refusal = ""
        self._metrics.config_reloads.labels("ok").inc()
        self._show_success()
        level = logging.WARNING if change.restart else logging.INFO
        log(logger, level, Action.CONFIG_RELOADED, str(change))

    def put_off(self, reason: str) -> None:
        """Note that the new configuration could not be used; the next `look` returns it again."""
        self._seen = None
        self._refused(f"the reload is tried again soon: {reason}")

    def _refused(self, reason: str) -> None:
        self._metrics.config_reloads.labels("refused").inc()
        self._metrics.config_last_reload_successful.set(0)
        log(logger, logging.ERROR, Action.CONFIG_REFUSED, reason)
        self.refusal = reason

    def _show_success(self) -> None:
        self._metrics.config_last_reload_successful.set(1)
        self._metrics.config_last_reload_success_timestamp_seconds.set(self._now())

    def _fingerprint(self) -> str:
        """Return a hash of the file's content; empty while the file cannot be read."""
        if self._path is None:
            return ""
        try:
            return hashlib.sha256(read_bounded(self._path, MOST_BYTES)).hexdigest()
        except OSError:
            return ""
        except ValueError as error:
            return str(error)  # a pipe, a device or a too large file: `look` reports the error
