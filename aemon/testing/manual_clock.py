"""A clock for tests whose time changes only when a test moves the clock."""

from datetime import datetime, timedelta


class ManualClock:
    """A clock that keeps the same time until `forward` is called.

    Args:
        now: first time of the clock, aware UTC.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time of the clock."""
        return self.now

    def forward(self, by: timedelta) -> None:
        """Move the clock forward."""
        self.now += by
