"""The stream of a monitor for pushed records, which the HTTP port writes into the inbox."""

from collections.abc import Callable, Sequence

import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.push.settings import PushSource
from aemon.sources.source import Arrived

TIME, KEY, ENTITY = "$time", "$key", "$entity"


def roles_of(settings: PushSource) -> Roles:
    """Return the columns that identify a pushed record, and the format of its time."""
    return Roles(
        time=TIME,
        key=KEY,
        entity=ENTITY,
        timezone=settings.timezone,
        time_format=settings.time_format,
    )


def open_source(settings: PushSource, clock: Clock) -> "Pushed":
    """Return the stream of pushed records; the stream itself hands over no records."""
    return Pushed(settings, clock)


class Pushed:
    """A stream that hands over no records: the HTTP port stores records before it answers."""

    def __init__(self, settings: PushSource, clock: Clock) -> None:
        self.roles = roles_of(settings)
        self._clock = clock
        parts = settings.remote_write
        self._patience = None if parts is None else parts.step + parts.wait

    def resume(self, _notes: Sequence[str], _wake: Callable[[], None]) -> None:
        """Do nothing: a sender that gets no answer sends its request again."""

    def take(self, _limit: int) -> Arrived:
        """Hand over no records; return the time before which records of samples are complete."""
        before = None if self._patience is None else self._clock() - self._patience
        nothing = pd.DataFrame(columns=[TIME, KEY, ENTITY])
        return Arrived(table=nothing, more=False, finish_before=before)

    def describe(self) -> str:
        """Return the paths of the HTTP port that accept records."""
        return "records that are pushed to /api/v1/records/, /write and /api/v1/write"

    def close(self) -> None:
        """Do nothing: the stream holds nothing open."""
