"""Traffic of a monitor: senders and number of records in training, and after the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aemon.clock import format_duration
from aemon.detection.arrays import Texts, Times
from aemon.detection.traffic.record_rate import Counted, UsualRate, learn_rate, usual_from
from aemon.detection.traffic.silence import Pauses, Senders, learn_pauses

MOST_NAMED = 5
"""Largest number of silent entities that a summary names."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The state of the traffic after the newest record; empty by default.

    Attributes:
        senders: the time of each entity's newest record.
        counted: the number of recent records.
    """

    senders: Senders = field(default_factory=Senders)
    counted: Counted = field(default_factory=Counted)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {"senders": self.senders.as_json(), "counted": self.counted.as_json()}

    @classmethod
    def from_json(cls, stored: Any) -> "Traffic":
        """Return the traffic that `as_json` wrote; empty if `stored` cannot be read."""
        if not isinstance(stored, Mapping):
            return cls()
        return cls(
            senders=Senders.from_json(stored.get("senders")),
            counted=Counted.from_json(stored.get("counted")),
        )


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """Descriptions of unusual traffic; empty if the traffic is usual.

    Attributes:
        silent: silent entity -> a text about its silence.
        rate: a text about the number of records; empty if this number is usual.
    """

    silent: Mapping[str, str] = field(default_factory=dict)
    rate: str = ""

    @property
    def summary(self) -> tuple[str, ...]:
        """All texts; at most `MOST_NAMED` silent entities, with the longest silence, are named."""
        named = [*self.silent.values()][:MOST_NAMED]
        more = len(self.silent) - len(named)
        others = [f"{more} more are silent"] if more > 0 else []
        return (*named, *others, *filter(None, [self.rate]))


@dataclass(frozen=True, kw_only=True)
class UsualTraffic:
    """The traffic in training. `learn_traffic` makes it.

    Attributes:
        pauses: pauses of entities; None if there are fewer than two entities or too few records.
        rate: the usual number of records; None if there were too few records.
        end: the state of the traffic at the end of the training.
    """

    pauses: Pauses | None = None
    rate: UsualRate | None = None
    end: Traffic = field(default_factory=Traffic)

    def after(self, before: Traffic, times: Times, entities: Texts) -> Traffic:
        """Return the state of the traffic after N more records.

        Args:
            before: the state of the traffic before these records.
            times: (N,) event times, in any order.
            entities: (N,) the entity of each record.
        """
        senders, counted = before.senders, before.counted
        if self.pauses is not None:
            senders = senders.after(times, entities, self.pauses)
        if self.rate is not None and len(times):
            counted = counted.after(times, self.rate)
        return Traffic(senders=senders, counted=counted)

    def unusual(self, now: Traffic, silent_after: timedelta | None) -> Unusual:
        """Return descriptions of the silent entities and of an unusual number of records.

        Args:
            now: the state of the traffic.
            silent_after: time after which an entity is silent; if None, its longest pause decides.
        """
        silent: dict[str, str] = {}
        if self.pauses is not None:
            for name, since in now.senders.silent(self.pauses, silent_after).items():
                longest = format_duration(timedelta(seconds=round(self.pauses.longest[name], 1)))
                silent[name] = (
                    f"{name} is silent: no record since {since:%Y-%m-%d %H:%M:%S} UTC, "
                    f"while other entities send; its longest pause in training was {longest}"
                )
        rate = now.counted.summary(self.rate) if self.rate is not None else ""
        return Unusual(silent=silent, rate=rate)

    def as_json(self) -> dict[str, Any]:
        """Return all attributes, for `from_json`."""
        return {
            "pauses": self.pauses.as_json() if self.pauses is not None else None,
            "rate": self.rate.as_json() if self.rate is not None else None,
            "end": self.end.as_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "UsualTraffic":
        """Return the traffic that `as_json` wrote; empty for a detector from an older version."""
        if not stored:
            return cls()
        pauses, rate = stored["pauses"], stored["rate"]
        return cls(
            pauses=Pauses.from_json(pauses) if pauses else None,
            rate=usual_from(rate) if rate else None,
            end=Traffic.from_json(stored["end"]),
        )


def learn_traffic(times: Times, entities: Texts) -> UsualTraffic:
    """Learn the usual traffic from N records, including records while the machine was not at work.

    Args:
        times: (N,) event times, in any order.
        entities: (N,) the entity of each record.
    """
    pauses, senders = learn_pauses(times, entities) or (None, Senders())
    rate, counted = learn_rate(times) or (None, Counted())
    return UsualTraffic(pauses=pauses, rate=rate, end=Traffic(senders=senders, counted=counted))
