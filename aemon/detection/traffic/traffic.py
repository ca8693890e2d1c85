"""How records came in training, and how they have come since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aemon.clock import format_duration
from aemon.detection.arrays import Texts, Times
from aemon.detection.traffic.record_rate import Counted, UsualRate, learn_rate, usual_from
from aemon.detection.traffic.silence import Pauses, Senders, learn_pauses

MOST_NAMED = 5
"""Silent entities that are named where all of them are told at once."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How records have come until now; nothing is known to begin with.

    Attributes:
        senders: when each entity sent its newest record.
        counted: the records of late.
    """

    senders: Senders = field(default_factory=Senders)
    counted: Counted = field(default_factory=Counted)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for `from_json`."""
        return {"senders": self.senders.as_json(), "counted": self.counted.as_json()}

    @classmethod
    def from_json(cls, stored: Any) -> "Traffic":
        """Return the inverse of `as_json`; where it is none, nothing is known."""
        if not isinstance(stored, Mapping):
            return cls()
        return cls(
            senders=Senders.from_json(stored.get("senders")),
            counted=Counted.from_json(stored.get("counted")),
        )


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """What is unusual about how records come.

    Attributes:
        silent: entity -> what is said of its silence.
        rate: what is said of the number of records; empty where that is usual.
    """

    silent: Mapping[str, str] = field(default_factory=dict)
    rate: str = ""

    @property
    def summary(self) -> tuple[str, ...]:
        """All of it, a sentence each; of many silent entities the longest silent ones are named."""
        named = [*self.silent.values()][:MOST_NAMED]
        more = len(self.silent) - len(named)
        others = [f"{more} more are silent"] if more > 0 else []
        return (*named, *others, *filter(None, [self.rate]))


@dataclass(frozen=True, kw_only=True)
class UsualTraffic:
    """How records came in training. Made by `learn_traffic`.

    Attributes:
        pauses: of entities; None where there are no two.
        rate: of all records; None where they were too few.
        end: how they had come when the training ended.
    """

    pauses: Pauses | None = None
    rate: UsualRate | None = None
    end: Traffic = field(default_factory=Traffic)

    def after(self, before: Traffic, times: Times, entities: Texts) -> Traffic:
        """Return how records have come after N more.

        Args:
            before: how they had come before those.
            times: (N,) event times, in any order.
            entities: (N,) what each record belongs to.
        """
        senders, counted = before.senders, before.counted
        if self.pauses is not None:
            senders = senders.after(times, entities, self.pauses)
        if self.rate is not None and len(times):
            counted = counted.after(times, self.rate)
        return Traffic(senders=senders, counted=counted)

    def unusual(self, now: Traffic, silent_after: timedelta | None) -> Unusual:
        """Return what is unusual.

        Args:
            now: how records have come.
            silent_after: when an entity is silent; None where its longest pause in training says so.
        """
        silent: dict[str, str] = {}
        if self.pauses is not None:
            for name, since in now.senders.silent(self.pauses, silent_after).items():
                longest = format_duration(timedelta(seconds=round(self.pauses.longest[name], 1)))
                silent[name] = (
                    f"{name} is silent: no record since {since:%Y-%m-%d %H:%M:%S} UTC, while others "
                    f"send; its longest pause in training was {longest}"
                )
        rate = now.counted.summary(self.rate) if self.rate is not None else ""
        return Unusual(silent=silent, rate=rate)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for `from_json`."""
        return {
            "pauses": self.pauses.as_json() if self.pauses is not None else None,
            "rate": self.rate.as_json() if self.rate is not None else None,
            "end": self.end.as_json(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "UsualTraffic":
        """Return the inverse of `as_json`; of a detector of before, nothing is known."""
        if not stored:
            return cls()
        pauses, rate = stored["pauses"], stored["rate"]
        return cls(
            pauses=Pauses.from_json(pauses) if pauses else None,
            rate=usual_from(rate) if rate else None,
            end=Traffic.from_json(stored["end"]),
        )


def learn_traffic(times: Times, entities: Texts) -> UsualTraffic:
    """Learn how N records came, in whatever state they were made.

    Args:
        times: (N,) event times, in any order.
        entities: (N,) what each record belongs to.
    """
    pauses, senders = learn_pauses(times, entities) or (None, Senders())
    rate, counted = learn_rate(times) or (None, Counted())
    return UsualTraffic(pauses=pauses, rate=rate, end=Traffic(senders=senders, counted=counted))
