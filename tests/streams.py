"""A stream that says what a test lets it say."""

from datetime import UTC, datetime

import pandas as pd

from aemon.frame import Roles
from aemon.sources.arrivals import Arrivals
from aemon.sources.source import Arrived

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Said:
    """Hands over what `say` put into it, or raises `error`."""

    def __init__(self, most: int = 10_000) -> None:
        self.roles = Roles(time="time", key="key", entity="entity")
        self.arrivals: Arrivals[dict[str, object]] = Arrivals(most)
        self.closed = False
        self.error: Exception | None = None

    def say(self, key: object, entity: str = "", time: object = T0, **values: object) -> None:
        self.arrivals.put({"time": time, "key": key, "entity": entity, **values})

    def resume(self, notes, wake) -> None:
        self.notes, self.wake = list(notes), wake

    def take(self, limit: int) -> Arrived:
        if self.error is not None:
            raise self.error
        piece = self.arrivals.take(limit)
        table = pd.DataFrame(
            piece.items, columns=None if piece.items else ["time", "key", "entity"]
        )
        return Arrived(table=table, more=piece.more, lost=piece.lost)

    def describe(self) -> str:
        return "what a test says"

    def close(self) -> None:
        self.closed = True
