"""Watches the traffic of a monitor: silent entities, and unusually many or few records."""

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
"""Largest number of entities that the log names for one commit."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """The kinds of unusual traffic that are reported.

    Attributes:
        entities: whether silent entities are reported.
        silent_after: pause after which an entity is silent; None for the entity's longest pause in
            training.
        rate: whether an unusual number of records is reported.
    """

    entities: bool = True
    silent_after: timedelta | None = None
    rate: bool = True


def watched_by(settings: MonitorSettings) -> Watched:
    """Return which kinds of unusual traffic are reported, by the settings of a monitor."""
    after = settings.silent_after
    return Watched(
        entities=after is not None,
        silent_after=after if isinstance(after, timedelta) else None,
        rate=settings.watch_rate,
    )


class TrafficWatch:
    """The traffic of one monitor, compared with the traffic in training.

    Args:
        monitor: name of the monitor.
        usual: traffic in the detector's training.
        watched: the kinds of unusual traffic that are reported.
        noted: stored state of the traffic; None without a stored state.
        first: whether this is the first detector; its traffic continues from the training records.
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
            if noted.get("stretch") != stretch:  # counted in periods of a different length
                self.traffic = Traffic(senders=self.traffic.senders)
        self._reported = self.unusual

    @property
    def unusual(self) -> Unusual:
        """The unusual traffic after the last committed records."""
        return self._usual.unusual(self.traffic, self._watched.silent_after)

    @property
    def report(self) -> TrafficReport:
        """The unusual traffic at the last commit, in numbers for metrics."""
        return TrafficReport(
            silent=len(self._reported.silent), unusual_rate=bool(self._reported.rate)
        )

    def after(self, frame: Frame) -> Traffic:
        """Return the traffic after the records of a frame."""
        return self._usual.after(self.traffic, frame.times, frame.entities)

    def as_json(self, traffic: Traffic) -> dict[str, Any] | None:
        """Return the state to store; None if no kind of traffic is watched."""
        if self._usual.pauses is None and self._usual.rate is None:
            return None
        summary = self._usual.unusual(traffic, self._watched.silent_after).summary
        stretch = self._usual.rate.seconds if self._usual.rate is not None else None
        return {**traffic.as_json(), "stretch": stretch, "told": list(summary)}

    def adopt(self, traffic: Traffic) -> None:
        """Keep committed traffic; log traffic that became unusual, or is usual again."""
        self.traffic = traffic
        before, now = self._reported, self.unusual
        self._reported = now
        silent = [name for name in now.silent if name not in before.silent]
        for name in silent[:MOST_LOGGED]:
            self._log(logging.WARNING, Action.ENTITY_SILENT, now.silent[name], name)
        if len(silent) > MOST_LOGGED:
            more = f"{len(silent) - MOST_LOGGED} more entities are silent"
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
            self._log(logging.INFO, Action.RATE_USUAL, "records arrive at the usual rate again")

    def _log(self, level: int, action: Action, text: str, entity: str = "") -> None:
        fields = {"entity": entity} if entity else {}
        log(logger, level, action, text, monitor=self._monitor, **fields)
