"""The configuration while the daemon runs: whether it has changed, and what of it can be taken up."""

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
"""Keys whose change is told, and taken up by the next start."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What sets two configurations apart.

    Attributes:
        added: monitors that are new.
        removed: monitors that are gone.
        changed: monitors whose settings are others.
        restart: keys that are others, and take a restart.
        others: further keys that are others.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    restart: tuple[str, ...]
    others: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.restart, self.others))

    def __str__(self) -> str:
        told = [
            f"{', '.join(names)} {what}"
            for names, what in (
                (self.added, "added"), (self.removed, "removed"), (self.changed, "changed"),
                (self.others, "changed"), (self.restart, "changed, which takes a restart"),
            )
            if names
        ]  # fmt: skip
        return "; ".join(told) or "nothing has changed"


def compare(old: Config, new: Config) -> Change:
    """What a new configuration changes."""
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
    """A key's value; `http.client` is for those who ask the daemon, and nothing to it."""
    return (
        config.http.model_copy(update={"client": None}) if key == "http" else getattr(config, key)
    )


class Reloading:
    """Reads the configuration file again when its content changes, or when it is told to.

    By content, because a file that is a link into a folder that is swapped as a whole, as
    Kubernetes does with a ConfigMap, changes without being touched.

    Args:
        path: the file; None where the configuration came from elsewhere, and stays.
        metrics: to tell how it went.
        now: seconds since 1970, for the metrics.

    Attributes:
        refusal: why the file, as it is now, is not in use; empty if it is.
    """

    def __init__(self, path: Path | None, metrics: Metrics, now: Callable[[], float]) -> None:
        self._path = path
        self._metrics = metrics
        self._now = now
        self.refusal = ""
        self._seen: str | None = self._fingerprint()
        self._tell(well=True)

    def look(self, old: Config, *, told_to: bool = False) -> tuple[Config, Change] | None:
        """A new configuration and what it changes; None if there is none, or none that is valid.

        Whoever takes it up says so, with `done` or `put_off`. An invalid file changes nothing, and
        is told once for each content of it.
        """
        seen = self._fingerprint()
        if self._path is None or not (told_to or seen != self._seen):
            return None
        self._seen = seen
        try:
            new = load_config(self._path)
        except (AemonError, OSError) as error:
            told = error.message if isinstance(error, ConfigError) else str(error)
            self._refused(f"nothing was changed: {told}")
            return None
        change = compare(old, new)
        if change:
            return new, change
        self.done(change)
        return None

    def done(self, change: Change) -> None:
        """It was taken up."""
        self.refusal = ""
        self._metrics.config_reloads.labels("ok").inc()
        self._tell(well=True)
        level = logging.WARNING if change.restart else logging.INFO
        log(logger, level, Action.CONFIG_RELOADED, str(change))

    def put_off(self, why: str) -> None:
        """It could not be taken up: the next look finds it again."""
        self._seen = None
        self._refused(f"tried again soon: {why}")

    def _refused(self, told: str) -> None:
        self._metrics.config_reloads.labels("refused").inc()
        self._metrics.config_last_reload_successful.set(0)
        log(logger, logging.ERROR, Action.CONFIG_REFUSED, told)
        self.refusal = told

    def _tell(self, *, well: bool) -> None:
        self._metrics.config_last_reload_successful.set(int(well))
        self._metrics.config_last_reload_success_timestamp_seconds.set(self._now())

    def _fingerprint(self) -> str:
        """Of the file's content; empty while it cannot be read."""
        if self._path is None:
            return ""
        try:
            return hashlib.sha256(read_bounded(self._path, MOST_BYTES)).hexdigest()
        except OSError:
            return ""
        except ValueError as error:
            return str(error)  # a pipe, a device or far too much: told by the look that follows
