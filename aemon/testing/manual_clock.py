"""A clock for tests that moves only when a test moves it."""

from datetime import datetime, timedelta


class ManualClock:
    """A clock that keeps its time until `forward` moves it.

    Args:
        now: its first time, aware UTC.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time of the clock."""
        return self.now

    def forward(self, by: timedelta) -> None:
        """Move the clock forward."""
        self.now += by
