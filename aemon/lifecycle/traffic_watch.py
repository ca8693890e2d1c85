"""Watching how a monitor's records come: silent entities, and many more or fewer than ever."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aemon.config.schema import MonitorSettings
from aemon.detection.traffic.traffic import Traffic, Unusual, UsualTraffic
from aemon.frame import Frame
from aemon.logs import Action, log
from aemon.records import TrafficReport

MOST_LOGGED = 20
"""Entities in the log, of one commit."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What is told of how records come.

    Attributes:
        entities: whether silent ones are.
        silent_after: when one is silent; None where its longest pause in training says so.
        rate: whether an unusual number of records is.
    """

    entities: bool = True
    silent_after: timedelta | None = None
    rate: bool = True


def watched_by(settings: MonitorSettings) -> Watched:
    """Return what a monitor's settings say of it."""
    after = settings.silent_after
    return Watched(
        entities=after is not None,
        silent_after=after if isinstance(after, timedelta) else None,
        rate=settings.watch_rate,
    )


class TrafficWatch:
    """How one monitor's records come, beside how they came in training.

    Args:
        monitor: its name.
        usual: as its detector's training knew it.
        watched: what is told.
        noted: what was written down; None where nothing was.
        first: whether the first detector goes on from the records that it learned from.
    """

    def __init__(
        self,
        monitor: str,
        usual: UsualTraffic,
        watched: Watched,
        noted: Any = None,
        *,
        first: bool = False,
    ) -> None:
        self._monitor = monitor
        self._watched = watched
        self._usual = UsualTraffic(
            pauses=usual.pauses if watched.entities else None,
            rate=usual.rate if watched.rate else None,
        )
        self.traffic = usual.end if first and noted is None else Traffic()
        if isinstance(noted, dict):
            stretch = usual.rate.seconds if usual.rate is not None else None
            self.traffic = Traffic.from_json(noted)
            if noted.get("stretch") != stretch:  # counted in stretches of another length
                self.traffic = Traffic(senders=self.traffic.senders)
        self._told = self.unusual

    @property
    def unusual(self) -> Unusual:
        """What is unusual now."""
        return self._usual.unusual(self.traffic, self._watched.silent_after)

    @property
    def report(self) -> TrafficReport:
        """What is unusual now, in numbers."""
        return TrafficReport(silent=len(self._told.silent), unusual_rate=bool(self._told.rate))

    def after(self, frame: Frame) -> Traffic:
        """Return how records have come after those of a frame."""
        return self._usual.after(self.traffic, frame.times, frame.entities)

    def as_json(self, traffic: Traffic) -> dict[str, Any] | None:
        """Return what is to be written down; None where nothing is watched."""
        if self._usual.pauses is None and self._usual.rate is None:
            return None
        told = self._usual.unusual(traffic, self._watched.silent_after).summary
        stretch = self._usual.rate.seconds if self._usual.rate is not None else None
        return {**traffic.as_json(), "stretch": stretch, "told": list(told)}

    def adopt(self, traffic: Traffic) -> None:
        """Go on from what was committed, and log what has become unusual, or usual again."""
        self.traffic = traffic
        before, now = self._told, self.unusual
        self._told = now
        fallen = [name for name in now.silent if name not in before.silent]
        for name in fallen[:MOST_LOGGED]:
            self._log(logging.WARNING, Action.ENTITY_SILENT, now.silent[name], name)
        if len(fallen) > MOST_LOGGED:
            more = f"{len(fallen) - MOST_LOGGED} more entities are silent"
            self._log(logging.WARNING, Action.ENTITY_SILENT, more)
        back = [name for name in before.silent if name not in now.silent]
        for name in back[:MOST_LOGGED]:
            self._log(logging.INFO, Action.ENTITY_BACK, f"{name} sends records again", name)
        if len(back) > MOST_LOGGED:
            more = f"{len(back) - MOST_LOGGED} more entities send records again"
            self._log(logging.INFO, Action.ENTITY_BACK, more)
        if now.rate and not before.rate:
            self._log(logging.WARNING, Action.RATE_UNUSUAL, now.rate)
        elif before.rate and not now.rate:
            self._log(logging.INFO, Action.RATE_USUAL, "as many records come as in training")

    def _log(self, level: int, action: Action, told: str, entity: str = "") -> None:
        whose = {"entity": entity} if entity else {}
        log(logger, level, action, told, monitor=self._monitor, **whose)
