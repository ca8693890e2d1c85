"""A member of a consumer group, which reads messages in a thread and reconnects by itself."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import confluent_kafka as ck
from confluent_kafka import KafkaError, TopicPartition

from aemon.clock import Clock
from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.sources.kafka.connecting import client_config, explained, problem_of
from aemon.sources.kafka.messages import Message
from aemon.sources.kafka.received import received_message
from aemon.sources.kafka.settings import KafkaSource
from aemon.sources.kafka.topic_generations import TopicGenerations, topic_ids
from aemon.sources.kafka.topic_names import matching, missing_topic, newest_messages
from aemon.sources.kafka.waiting import Partition, Waiting, note_of, noted_positions
from aemon.threads import start_thread

if TYPE_CHECKING:
    from datetime import datetime

AT_ONCE = 100  # messages taken from the client library in one call; a message may have 1 MB
POLL_SECONDS = 0.2
ANSWER_SECONDS = 10.0  # longest wait for an answer of the brokers
PROBE_SECONDS = 1.0
STOP_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 30.0  # maximum pause after a consumer fails: 1 s, 2 s, 4 s, ...
LOOKED_BACK = 200  # newest messages of each partition, for reads without the group (`aemon check`)
IDS_EVERY_SECONDS = 60.0  # a topic that was made again is noticed within this time

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
        self._generations = TopicGenerations(explained(settings))
        self._next: dict[Partition, int] = {}  # offset of the message that must come next
        self._ids_due = 0.0  # monotonic
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
        self._generations.restore(notes)
        self.waiting.remember({}, wake)

    def note(self) -> str:
        """Return a note for a later process: each partition's position after the last `take`."""
        self.note_is_due = False
        known = self._noted if self._is_noted_cluster() else {}
        positions = {**known, **self.waiting.positions()}
        return note_of(self._settings.group, self._cluster, positions, self._generations.noted())

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
            except _MadeAgainError:
                continue  # the next consumer begins a new generation
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
                self._check_topics(consumer, config)
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
                generation = self._generations.number(one.topic() or "")
                yield self._in_order(received_message(one, generation, self._clock()))
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its only name
                self.problem = problem_of(error, self._settings)

    def _in_order(self, message: Message) -> Message:
        """Return a message.

        Raises:
            _MadeAgainError: its offset is below that of an earlier message.
        """
        name = (message.topic, message.partition)
        if self._joins and message.offset < self._next.get(name, 0):
            self._generations.suspect(message.topic)
            raise _MadeAgainError
        self._next[name] = message.offset + 1
        return message

    def _check_topics(self, consumer: ck.Consumer, config: dict[str, Any]) -> None:
        """Ask from time to time for the ids of the topics, and whether there are topics to read.

        Raises:
            _MadeAgainError: a topic has another id.
        """
        if not self._joins or time.monotonic() < self._ids_due:
            return
        self._ids_due = time.monotonic() + IDS_EVERY_SECONDS
        if not self.assigned:
            topics = consumer.list_topics(timeout=ANSWER_SECONDS).topics
            for asked in self._settings.topics:
                if asked.startswith("^") and not matching(asked, topics):
                    self.problem = missing_topic(asked, topics, self._settings)
            return
        if self._generations.is_other(topic_ids(config, {topic for topic, _ in self.assigned})):
            raise _MadeAgainError

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
        before = self._cluster or self._noted_cluster
        self._cluster = consumer.list_topics(timeout=ANSWER_SECONDS).cluster_id or before
        moved = bool(before) and self._cluster != before
        committed = consumer.committed(partitions, timeout=ANSWER_SECONDS)
        marks = {
            (one.topic, one.partition): consumer.get_watermark_offsets(
                TopicPartition(one.topic, one.partition), timeout=ANSWER_SECONDS, cached=False
            )
            for one in committed
        }
        behind = {
            one.topic
            for one in committed
            if max(self._known_positions(one), default=0) > marks[one.topic, one.partition][1]
        }
        topics = {one.topic for one in partitions}
        config = client_config(self._settings, self._on_error)
        again = self._generations.renew(topics, topic_ids(config, topics), behind, moved=moved)
        self._ids_due = time.monotonic() + IDS_EVERY_SECONDS
        begins = [
            self._begin(one, marks[one.topic, one.partition], renewed=one.topic in again)
            for one in committed
        ]
        consumer.assign(begins)
        self.assigned = [(one.topic, one.partition) for one in begins]
        self.assigned_since = self._clock()
        self._paused = False
        self.problem = None
        self.note_is_due |= bool(begins)

    def _known_positions(self, committed: TopicPartition) -> list[int]:
        """Return the known offsets of the next message of a partition: committed, noted, handed."""
        name = (committed.topic, committed.partition)
        noted = self._noted.get(name) if self._is_noted_cluster() else None
        positions = (committed.offset, noted, self.waiting.position(name))
        return [at for at in positions if at is not None and at >= 0]

    def _begin(
        self, committed: TopicPartition, marks: tuple[int, int], *, renewed: bool
    ) -> TopicPartition:
        """Return a partition with the offset of the first message to read.

        Args:
            committed: the partition, with the offset that the group has committed.
            marks: the lowest offset of the partition, and the next offset to be written.
            renewed: whether the topic was made again.
        """
        name = (committed.topic, committed.partition)
        low, high = marks
        known = [] if renewed else self._known_positions(committed)
        lost = 0
        if not known:
            begin = high if self._settings.start == "newest" and not renewed else low
        elif max(known) > high:
            begin = low  # the brokers lost messages; those that are read again are known by key
        else:
            begin = max(low, *known)
            lost = begin - max(known)
        if renewed:
            self._noted.pop(name, None)
        self._next[name] = begin
        self.waiting.begin(name, begin, lost, self._generations.number(name[0]))
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
        begins = newest_messages(consumer, self._settings, LOOKED_BACK, ANSWER_SECONDS)
        consumer.assign(begins)
        self.assigned = [(one.topic, one.partition) for one in begins]

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
            if not matching(topic, topics):
                self.problem = missing_topic(topic, topics, self._settings)
                self._over.wait(PROBE_SECONDS)
                return
        if self.assigned is not None or not isinstance(self.problem, SourceConfigError):
            self.problem = None


class _MadeAgainError(Exception):
    """A topic was deleted and made again while it was read."""
