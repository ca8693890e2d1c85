"""Messages of an MQTT broker as a stream of records."""

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.json_values import Reading, UnreadableMessageError
from aemon.sources.mqtt.connection import BrokerConnection
from aemon.sources.mqtt.deliveries import MOST_PAYLOAD, Delivery, client_of, note_of
from aemon.sources.mqtt.messages import MessageReader
from aemon.sources.mqtt.settings import MqttSource
from aemon.sources.source import Arrived, SetAside
from aemon.times.event_times import EARLIEST, LATEST

TOO_LONG, NO_TIME, FAR_TIME = "too_long", "no_time", "time_out_of_range"
_MOST_SHOWN = 2_000  # characters of a payload that is set aside
_LEAST_STEP = timedelta(microseconds=1)
# These names cannot be columns of a message: a column cannot begin with $, as paths do.
_TIME, _KEY, _ENTITY = "$time", "$key", "$entity"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_Row = tuple[dict[str, Any], Delivery]
"""A record, or a part of a record, together with its message."""


class Mqtt:
    """A stream of the messages of some topics; each message is a record, or a part of a record."""

    def __init__(self, settings: MqttSource, clock: Clock) -> None:
        self.roles = Roles(
            time=_TIME,
            key=_KEY,
            entity=_ENTITY,
            timezone=settings.timezone,
            time_format=settings.time_format,
        )
        self._settings = settings
        self._clock = clock
        self._every = settings.joined_every
        self._reader = MessageReader(settings)
        self._connection = BrokerConnection(settings, clock)
        self._client_id = settings.client_id or f"aemon-{secrets.token_hex(8)}"
        self._keep_session = False
        self._unsaved_note: str | None = None
        self._newest: datetime | None = None

    def resume(self, notes: Sequence[str], wake: Callable[[], None]) -> None:
        """Continue the session at the broker that an earlier process began."""
        self._keep_session = True
        known = client_of(notes)
        if self._settings.client_id is None and known:
            self._client_id = known
        elif self._settings.client_id is None:
            self._unsaved_note = note_of(self._client_id, ())
        own_notes = notes if known == self._client_id else ()
        self._connection.deliveries.remember(own_notes, wake)

    def take(self, limit: int) -> Arrived:
        """Hand over the records of at most `limit` messages, oldest first.

        Raises:
            ResourceError: the machine cannot start another thread.
            SourceError: no message has arrived, and the broker cannot be reached at the moment.
            SourceConfigError: no message has arrived, and the broker refuses the connection or
                the subscription.
        """
        if self._unsaved_note is not None:
            # The broker keeps messages by client id; with a new id, kept messages would be lost.
            return Arrived(
                table=_table([]), more=False, note=self._unsaved_note, done=self._note_is_kept
            )
        self._connection.listen(self._client_id, keep_session=self._keep_session)
        deliveries, more = self._connection.deliveries.take(limit)
        if not deliveries and self._connection.problem is not None:
            raise self._connection.problem
        rows, set_aside = self._read(deliveries)
        if self._every is not None:
            rows = self._parts(rows, set_aside, self._every)
        named = any(one.name for one in deliveries)
        return Arrived(
            table=_table([row for row, _ in rows]),
            more=more,
            set_aside=tuple(set_aside),
            finish_before=self._finish_before(),
            note=note_of(self._client_id, deliveries) if named else None,
            done=partial(self._connection.deliveries.done, deliveries),
        )

    def describe(self) -> str:
        """Return the broker and the topics."""
        return f"{self._settings.url}: {', '.join(self._settings.topics)}"

    def close(self) -> None:
        """Disconnect; the broker keeps the messages that are not acknowledged."""
        self._connection.close()

    def _note_is_kept(self) -> None:
        self._unsaved_note = None

    def _read(self, deliveries: Iterable[Delivery]) -> tuple[list[_Row], list[SetAside]]:
        rows: list[_Row] = []
        set_aside: list[SetAside] = []
        for one in deliveries:
            if one.again or not self._reader.takes(one.topic):
                continue
            try:
                if len(one.payload) > MOST_PAYLOAD:
                    raise UnreadableMessageError(TOO_LONG)  # noqa: TRY301 -- handled like others
                reading = self._reader.read(one.topic, one.payload)
            except UnreadableMessageError as error:
                set_aside.append(SetAside(reason=str(error), text=_shown(one)))
                continue
            set_aside += [
                SetAside(reason=problem, text=_shown(one)) for problem in sorted(reading.problems)
            ]
            rows.append((self._row(reading, one.arrived), one))
        return rows, set_aside

    def _parts(
        self, rows: Sequence[_Row], set_aside: list[SetAside], every: timedelta
    ) -> list[_Row]:
        """Join messages of the same entity and period into parts of records, and return the parts.

        A message without a time is set aside.
        """
        times = self.roles.times_of(pd.Series([row[_TIME] for row, _ in rows], dtype=object))
        parts: dict[tuple[str, datetime], _Row] = {}
        for (row, delivery), begin in zip(rows, _beginnings(times, every), strict=True):
            if isinstance(begin, str):
                set_aside.append(SetAside(reason=begin, text=_shown(delivery)))
                continue
            named = {_TIME: begin, _KEY: begin.isoformat()}
            part, _ = parts.setdefault((row[_ENTITY], begin), ({**row, **named}, delivery))
            values = {k: v for k, v in row.items() if v is not None and k not in named}
            part.update(values)
        return list(parts.values())

    def _finish_before(self) -> datetime | None:
        """Return the time of arrival before which records are complete.

        None means that each message is a record; all records are then complete.
        After a new connection no record is complete for a while, because the messages that the
        broker has kept must arrive first.
        """
        patience = self._patience
        if patience is None:
            return None
        since = self._connection.subscribed_since
        now = self._clock()
        return now - patience if since is not None and now - since > patience else _LONG_AGO

    @property
    def _patience(self) -> timedelta | None:
        """How long the parts of a record, or the readings of a bucket, may take to arrive."""
        if self._every is not None:
            return self._every + self._settings.wait
        return self._settings.readings_wait

    def _row(self, reading: Reading, arrived: datetime) -> dict[str, Any]:
        time = reading.time
        if self._settings.time is None:
            # The time of arrival is the key: no two times may be equal, even if the clock steps
            # back.
            time = arrived if self._newest is None else max(arrived, self._newest + _LEAST_STEP)
            self._newest = time
        key = reading.key if self._settings.key is not None else time
        return {
            **reading.columns,
            _TIME: time,
            _KEY: key.isoformat(timespec="microseconds") if isinstance(key, datetime) else key,
            _ENTITY: reading.entity,
        }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table; without rows, the table has the columns of the roles."""
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[_TIME, _KEY, _ENTITY])


def _shown(delivery: Delivery) -> str:
    """Return a message as JSON text for people; a long payload is cut."""
    payload = delivery.payload[:_MOST_SHOWN].decode(errors="backslashreplace")
    return json.dumps({"topic": delivery.topic, "payload": payload})


def _beginnings(times: npt.NDArray[np.datetime64], every: timedelta) -> list[datetime | str]:
    """Return for each of N times the beginning of its record; for an unusable time, the reason.

    >>> _beginnings(np.array(["2026-03-01T10:00:07", "NaT"], "datetime64[us]"), timedelta(seconds=5))
    [datetime.datetime(2026, 3, 1, 10, 0, 5, tzinfo=datetime.timezone.utc), 'no_time']
    """
    step = every // timedelta(microseconds=1)
    micros = times.astype("datetime64[us]").astype(np.int64)
    begun = (micros - micros % step).astype("datetime64[us]").tolist()
    far = (times < EARLIEST) | (times > LATEST)
    return [
        NO_TIME if missing else FAR_TIME if is_far else begin.replace(tzinfo=UTC)
        for begin, missing, is_far in zip(
            begun, np.isnat(times).tolist(), far.tolist(), strict=True
        )
    ]
