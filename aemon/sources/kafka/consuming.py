"""A member of a consumer group, which reads messages in a thread and reconnects by itself."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import confluent_kafka as ck
from confluent_kafka import KafkaError, TopicPartition

from aemon.clock import Clock
from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.kafka.connecting import client_config, explained, problem_of
from aemon.sources.kafka.messages import Message
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.kafka.waiting import Partition, Waiting, note_of, noted_positions
from aemon.sources.source import there
from aemon.threads import start_thread

AT_ONCE = 100  # messages taken from the client library in one call; a message may have 1 MB
POLL_SECONDS = 0.2
ANSWER_SECONDS = 10.0  # longest wait for an answer of the brokers
PROBE_SECONDS = 1.0
STOP_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 30.0  # maximum pause after a consumer fails: 1 s, 2 s, 4 s, ...
LOOKED_BACK = 200  # newest messages of each partition, for reads without the group (`aemon check`)
MOST_VALUE = 2**20  # bytes; a longer value is cut off, and its message is set aside

# The library's errors are reported as problems; with log handlers they would be reported twice.
_library = logging.getLogger("aemon.sources.kafka.library")
_library.propagate = False
_library.addHandler(logging.NullHandler())


class GroupMember:
    """A thread that reads messages into `waiting`.

    The offset of a message is committed after the message is stored. Without a call of `resume` the
    thread joins no group, commits nothing, and reads the newest messages of each partition.

    Attributes:
        waiting: the messages that have arrived.
        problem: the error that stops messages from arriving; None if there is none.
        assigned: the partitions that this member reads; None if no partitions are assigned.
        assigned_since: when partitions were last assigned; None if none are assigned.
        note_is_due: whether a note should be stored, because partitions were assigned.
        commits: whether offsets are committed.
    """

    def __init__(self, settings: KafkaSource, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._joins = False
        self._noted_cluster, self._cluster = "", ""
        self._noted: dict[Partition, int] = {}
        self._state = threading.Lock()  # guards the thread, which starts once
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._paused = False
        self._last_failure = ""
        self.note_is_due = False
        self.commits = True
        self.waiting = Waiting()
        self.problem: AemonError | None = None
        self.assigned: list[Partition] | None = None
        self.assigned_since: datetime | None = None

    def resume(self, notes: list[str], wake: Any) -> None:
        """Join the group, and continue where an earlier process ended."""
        self._joins = True
        self._noted_cluster, self._noted = noted_positions(notes, self._settings.group)
        self.waiting.remember({}, wake)

    def note(self) -> str:
        """Return a note for a later process: each partition's position after the last `take`."""
        self.note_is_due = False
        known = self._noted if self._is_noted_cluster() else {}
        return note_of(self._settings.group, self._cluster, {**known, **self.waiting.positions()})

    @property
    def is_over(self) -> bool:
        """Whether the thread was asked to end."""
        return self._over.is_set()

    def start(self) -> None:
        """Start the thread, unless it was started or ended before.

        Raises:
            ResourceError: the machine cannot start another thread.
        """
        with self._state:
            if self._thread is None and not self._over.is_set():
                self._thread = start_thread(self._run, f"kafka:{self._settings.group}")

    def close(self) -> None:
        """Commit the offsets of stored messages, leave the group and end the thread."""
        with self._state:
            self._over.set()
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pause = 1.0
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self._consume()
            except AemonError as error:
                self.problem = error
            except ck.KafkaException as error:
                self.problem = problem_of(error.args[0], self._settings)
            except Exception as error:  # noqa: BLE001 -- the thread must live on
                self.problem = SourceError(
                    f"reading from {explained(self._settings)} failed with an unexpected error: "
                    f"{type(error).__name__}: {error}",
                    todo="aemon tries again",
                )
            if time.monotonic() - began > 2 * LONGEST_PAUSE_SECONDS:
                pause = 1.0  # the consumer has worked for a while
            self._over.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _consume(self) -> None:
        """Read messages until `close` is called or the consumer fails."""
        config = client_config(self._settings, self._on_error)
        consumer = ck.Consumer(config, logger=_library)
        try:
            if self._joins:
                consumer.subscribe(
                    list(self._settings.topics),
                    on_assign=self._on_assign,
                    on_revoke=self._on_revoke,
                    on_lost=self._on_lost,
                )
            else:
                self._look(consumer)
            while not self._over.is_set():
                self._keep_pace(consumer)
                self._commit(consumer, wait=False)
                self.waiting.put(list(self._received(consumer)))
                if self.problem is not None:
                    self._probe(consumer)
            if self._joins:
                self._commit(consumer, wait=True)
        finally:
            self.assigned = self.assigned_since = None
            consumer.close()

    def _received(self, consumer: ck.Consumer) -> Iterator[Message]:
        for one in consumer.consume(AT_ONCE, POLL_SECONDS):
            error = one.error()
            if error is None:
                self.problem = None
                yield self._message(one)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its only name
                self.problem = problem_of(error, self._settings)

    def _message(self, one: ck.Message) -> Message:
        kind, milliseconds = one.timestamp()
        value, key = one.value(), one.key()
        headers: list[tuple[str, Any]] = []
        with contextlib.suppress(UnicodeDecodeError):
            given: Any = one.headers()  # a list of pairs, or None
            headers = list(given or ())
        return Message(
            topic=one.topic() or "",
            partition=one.partition() or 0,
            offset=one.offset() or 0,
            key=None if key is None else bytes(key)[:MOST_VALUE],
            value=None if value is None else bytes(value)[: MOST_VALUE + 1],
            headers=headers,
            timestamp=self._clock()
            if kind == ck.TIMESTAMP_NOT_AVAILABLE
            else datetime.fromtimestamp(milliseconds / 1000, UTC),
        )

    def _keep_pace(self, consumer: ck.Consumer) -> None:
        """Pause all partitions while too many messages wait to be stored, and stay in the group."""
        if not self._paused and self.waiting.is_full:
            consumer.pause(consumer.assignment())
            self._paused = True
        elif self._paused and self.waiting.has_room:
            consumer.resume(consumer.assignment())
            self._paused = False

    def _commit(self, consumer: ck.Consumer, *, wait: bool) -> None:
        kept = self.waiting.take_kept()
        assigned = set(self.assigned or ())
        offsets = [TopicPartition(*one, at) for one, at in kept.items() if one in assigned]
        if not offsets or not self.commits:
            return
        try:
            if wait:
                consumer.commit(offsets=offsets, asynchronous=False)
            else:
                consumer.commit(offsets=offsets, asynchronous=True)
        except ck.KafkaException:
            self.waiting.give_back(kept)  # nothing is lost: the note in the store has the positions

    def _on_assign(self, consumer: ck.Consumer, partitions: list[TopicPartition]) -> None:
        """Begin to read each partition after the newest stored message.

        The committed offset of the group may be older than that message.
        """
        self._cluster = consumer.list_topics(timeout=ANSWER_SECONDS).cluster_id or ""
        committed = consumer.committed(partitions, timeout=ANSWER_SECONDS)
        begins = [self._begin(consumer, one) for one in committed]
        consumer.assign(begins)
        self.assigned = [(one.topic, one.partition) for one in begins]
        self.assigned_since = self._clock()
        self._paused = False
        self.problem = None
        self.note_is_due |= bool(begins)

    def _begin(self, consumer: ck.Consumer, committed: TopicPartition) -> TopicPartition:
        """Return a partition with the offset of the first message to read."""
        name = (committed.topic, committed.partition)
        noted = self._noted.get(name) if self._is_noted_cluster() else None
        known = [
            at
            for at in (committed.offset, noted, self.waiting.position(name))
            if at is not None and at >= 0
        ]
        low, high = consumer.get_watermark_offsets(
            TopicPartition(*name), timeout=ANSWER_SECONDS, cached=False
        )
        lost = 0
        if not known:
            begin = high if self._settings.start == "newest" else low
        elif max(known) > high:
            begin = low  # the topic was deleted and created again, with new offsets
        else:
            begin = max(low, *known)
            lost = begin - max(known)
        self.waiting.begin(name, begin, lost)
        return TopicPartition(*name, begin)

    def _is_noted_cluster(self) -> bool:
        return self._cluster == self._noted_cluster

    def _on_revoke(self, consumer: ck.Consumer, partitions: list[TopicPartition]) -> None:
        self._commit(consumer, wait=True)
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: ck.Consumer, partitions: list[TopicPartition]) -> None:
        if not self._over.is_set():  # after `close`, arrived messages are still handed over
            self.waiting.drop((one.topic, one.partition) for one in partitions)
        self.assigned = self.assigned_since = None
        consumer.unassign()

    def _look(self, consumer: ck.Consumer) -> None:
        """Read the newest messages, without joining the group."""
        topics = consumer.list_topics(timeout=ANSWER_SECONDS).topics
        begins = []
        for topic in self._settings.topics:
            if topic not in topics or topics[topic].error is not None:
                raise _missing_topic(topic, topics, self._settings)
            for number in topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(topic, number), timeout=ANSWER_SECONDS, cached=False
                )
                begins.append(TopicPartition(topic, number, max(low, high - LOOKED_BACK)))
        consumer.assign(begins)
        self.assigned = [(one.topic, one.partition) for one in begins]
        self.assigned_since = self._clock()

    def _on_error(self, error: KafkaError) -> None:
        """Store an error in `problem`, unless only the connection to a single broker failed."""
        if error.code() == KafkaError._TRANSPORT:  # noqa: SLF001 -- its only name
            self._last_failure = error.str()
            return
        self.problem = problem_of(error, self._settings, self._last_failure)

    def _probe(self, consumer: ck.Consumer) -> None:
        """Clear `problem` if the brokers answer again, without waiting for the next message."""
        try:
            topics = consumer.list_topics(timeout=PROBE_SECONDS).topics
        except ck.KafkaException:
            self._over.wait(PROBE_SECONDS)
            return
        for topic in self._settings.topics:
            if not topic.startswith("^") and (
                topic not in topics or topics[topic].error is not None
            ):
                self.problem = _missing_topic(topic, topics, self._settings)
                self._over.wait(PROBE_SECONDS)
                return
        if self.assigned is not None or not isinstance(self.problem, SourceConfigError):
            self.problem = None


def _missing_topic(topic: str, topics: dict[str, Any], settings: KafkaSource) -> SourceConfigError:
    names = [name for name, one in topics.items() if one.error is None]
    return SourceConfigError(
        f"{explained(settings)} has no topic {topic}, or does not let aemon read it: "
        f"{there([name for name in names if not name.startswith('__')], topic)}"
    )
