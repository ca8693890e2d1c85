"""The stream of a monitor to which programs push: the port writes its records into the inbox."""

from collections.abc import Callable, Sequence

import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.push.settings import PushSource
from aemon.sources.source import Arrived

TIME, KEY, ENTITY = "$time", "$key", "$entity"


def roles_of(settings: PushSource) -> Roles:
    """Return how what identifies a pushed record is read."""
    return Roles(
        time=TIME,
        key=KEY,
        entity=ENTITY,
        timezone=settings.timezone,
        time_format=settings.time_format,
    )


def open_source(settings: PushSource, clock: Clock) -> "Pushed":
    """Return a stream that hands nothing over."""
    return Pushed(settings, clock)


class Pushed:
    """A stream without records: each request is in the store before it is answered."""

    def __init__(self, settings: PushSource, clock: Clock) -> None:
        self.roles = roles_of(settings)
        self._clock = clock
        parts = settings.remote_write
        self._patience = None if parts is None else parts.step + parts.wait

    def resume(self, _notes: Sequence[str], _wake: Callable[[], None]) -> None:
        """Do nothing: who pushes sends again what was not answered."""

    def take(self, _limit: int) -> Arrived:
        """Hand over nothing; let records finish that are joined from samples."""
        before = None if self._patience is None else self._clock() - self._patience
        nothing = pd.DataFrame(columns=[TIME, KEY, ENTITY])
        return Arrived(table=nothing, more=False, finish_before=before)

    def describe(self) -> str:
        """Return where the records come from."""
        return "records that are pushed to /api/v1/records/, /write and /api/v1/write"

    def close(self) -> None:
        """Do nothing."""
