"""Messages of a Kafka cluster as a stream of records."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.json_values import Reading, UnreadableMessageError
from aemon.sources.kafka.consuming import GroupMember
from aemon.sources.kafka.messages import Message, MessageReader
from aemon.sources.kafka.received import MOST_VALUE
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.source import Arrived, SetAside
from aemon.times.event_times import EARLIEST, LATEST

TOO_LONG, NO_TIME, FAR_TIME, NO_KEY = "too_long", "no_time", "time_out_of_range", "no_key"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SHOWN = 2_000  # characters of a value that is set aside
# These names cannot be columns of a message: a column cannot begin with $, as paths do.
_TIME, _KEY, _ENTITY = "$time", "$key", "$entity"


class Kafka:
    """A stream of the messages of some topics; each message is a record."""

    def __init__(self, settings: KafkaSource, clock: Clock) -> None:
        self.roles = Roles(time=_TIME, key=_KEY, entity=_ENTITY)
        self._settings = settings
        decode = None
        if settings.avro_schema is not None:
            from aemon.sources.kafka.avro import avro_decoder

            decode = avro_decoder(settings.avro_schema, settings.skip_bytes)
        self._reader = MessageReader(settings, decode)
        self._times = Roles(
            time=_TIME, key=_KEY, timezone=settings.timezone, time_format=settings.time_format
        )
        self._member = GroupMember(settings, clock)
        self._clock = clock

    def resume(self, notes: Sequence[str], wake: Callable[[], None]) -> None:
        """Join the group, and continue after the newest message in the store."""
        self._member.resume(list(notes), wake)

    def take(self, limit: int) -> Arrived:
        """Hand over the records of at most `limit` messages, in order of arrival.

        Raises:
            ResourceError: the machine cannot start another thread.
            SourceError: no message has arrived, and the cluster cannot be reached at the moment.
            SourceConfigError: no message has arrived, and the cluster refuses the user, the group
                or a topic.
        """
        member = self._member
        member.start()
        messages, more, lost = member.waiting.take(limit)
        noted = bool(messages) or member.note_is_due
        problem = member.problem
        if not noted and not lost and problem is not None and not member.is_over:
            raise problem
        table, set_aside = self._read(messages)
        return Arrived(
            table=table,
            more=more,
            lost=lost,
            set_aside=tuple(set_aside),
            finish_before=self._finish_before(),
            note=member.note() if noted else None,
            done=partial(member.waiting.done, messages) if noted else None,
        )

    def describe(self) -> str:
        """Return the brokers, the topics and the group."""
        settings = self._settings
        where = f"{', '.join(settings.topics)} at {', '.join(settings.servers)}"
        exposed = settings.user is not None and settings.sasl == "PLAIN" and not settings.tls
        warning = "; THE PASSWORD GOES OVER THE NETWORK IN CLEAR TEXT" if exposed else ""
        return f"Kafka topics {where}, as group {settings.group}{warning}"

    def close(self) -> None:
        """Leave the group; the brokers keep the messages."""
        self._member.close()

    def _finish_before(self) -> datetime | None:
        """Return the time of arrival before which readings are complete; None for whole records.

        After an assignment of partitions nothing is complete for a while, because the messages
        that the brokers have kept must arrive first.
        """
        wait = self._settings.readings_wait
        if wait is None:
            return None
        since, now = self._member.assigned_since, self._clock()
        return now - wait if since is not None and now - since > wait else _LONG_AGO

    def _read(self, messages: Sequence[Message]) -> tuple[pd.DataFrame, list[SetAside]]:
        readings: list[tuple[Message, Reading]] = []
        set_aside: list[SetAside] = []
        for one in messages:
            try:
                if one.value is not None and len(one.value) > MOST_VALUE:
                    raise UnreadableMessageError(TOO_LONG)  # noqa: TRY301 -- handled as the others
                reading = self._reader.read(one)
            except UnreadableMessageError as error:
                set_aside.append(SetAside(reason=str(error), text=_shown(one)))
                continue
            readings.append((one, reading))
            set_aside += [
                SetAside(reason=problem, text=_shown(one)) for problem in sorted(reading.problems)
            ]
        rows: list[dict[str, Any]] = []
        given = pd.Series([reading.time for _, reading in readings], dtype=object)
        times = self._times.times_of(given)
        far = (times < EARLIEST) | (times > LATEST)
        for at, (one, reading) in enumerate(readings):
            reason = (
                NO_TIME
                if np.isnat(times[at])
                else FAR_TIME
                if far[at]
                else NO_KEY
                if reading.key is None or reading.key == ""
                else None
            )
            if reason is not None:
                set_aside.append(SetAside(reason=reason, text=_shown(one)))
                continue
            rows.append(
                {
                    **reading.columns,
                    _TIME: times[at],
                    _KEY: _key_of(reading.key),
                    _ENTITY: reading.entity,
                }
            )
        return _table(rows), set_aside


def _key_of(key: Any) -> str:
    return key.isoformat() if isinstance(key, datetime) else str(key)


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table; without rows, the table has the columns of the roles."""
    if not rows:
        return pd.DataFrame(columns=[_TIME, _KEY, _ENTITY])
    table = pd.DataFrame(rows)
    table[_TIME] = pd.to_datetime(table[_TIME], utc=True).astype("datetime64[us, UTC]")
    return table


def _shown(message: Message) -> str:
    """Return a message as JSON text for people; a long value is cut."""
    value = (message.value or b"")[:_MOST_SHOWN].decode(errors="backslashreplace")
    return json.dumps(
        {
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "value": value,
        }
    )
