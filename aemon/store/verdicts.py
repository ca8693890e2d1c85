"""Saves the verdicts on records, and revisions of verdicts, in the transaction of a commit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zlib import crc32

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aemon.records import Identity, Verdict, Watermark
from aemon.store.bulk import Columns, Same, as_columns, take, write_rows
from aemon.store.episodes import episodes_of
from aemon.store.known_records import Known, known_records
from aemon.store.schema.tables import anomalies, contributions, scores
from aemon.store.store import KEYS_AT_ONCE, Commit, Mark, Row, Store

FIRST_REVISION = 1

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRows:
    """The rows of N judged records for the tables `scores`, `anomalies` and `contributions`.

    Flagged and suppressed records have rows in all three tables, other records only in `scores`.

    Attributes:
        scores: columns of table `scores` with N values each, without monitor, revision and run.
            Event times are datetime64[us] in UTC.
        anomalies: rows of table `anomalies`, without monitor and revision.
        contributions: rows of table `contributions`, without monitor and revision.
    """

    scores: Columns
    anomalies: Sequence[Row] = ()
    contributions: Sequence[Row] = ()

    def __len__(self) -> int:
        return len(self.scores["record_key"])

    @property
    def event_times(self) -> npt.NDArray[np.datetime64]:
        """(N,) event time of each record."""
        return np.asarray(self.scores["event_time"], dtype="datetime64[us]")

    def identities(self) -> Iterator[Identity]:
        """Yield (entity, record key) of each of the N records."""
        return zip(self.scores["entity"], self.scores["record_key"], strict=True)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The changes that N judged records make in the store.

    Attributes:
        fresh: (N,) whether the record has no stored verdict yet.
        revised: (N,) whether the stored verdict on the record changes.
        flagged: (N,) whether the record is an anomaly now, and was not an anomaly in the store.
        suppressed: (N,) whether the record is suppressed now, and was not suppressed in the store.
        identities: (entity, record key) of each of the N records.
        known: (entity, record key) -> the verdict that was stored before.
        at: when the records were judged.
    """

    fresh: Flags
    revised: Flags
    flagged: Flags
    suppressed: Flags
    identities: Sequence[Identity]
    known: Mapping[Identity, Known]
    at: datetime


def compare_verdicts(commit: Commit, rows: VerdictRows, *, again: bool = False) -> Saved:
    """Compare N judged records with the store; return which records are new or have changed.

    A stored record gets a new revision if its values or its event time have changed. With `again`,
    a change of detector or threshold also gives a new revision. Other stored records do not change.

    Args:
        commit: the open transaction of the run.
        rows: the verdicts.
        again: True if the records were judged again on purpose, perhaps by another detector.

    Raises:
        StoreError: the database fails.
    """
    store = commit.store
    # Create partitions before `scores` is read: to create a partition, PostgreSQL waits for all
    # transactions that use `scores`.
    store.partitions.make(commit.connection, rows.event_times, store.now())
    identities = list(rows.identities())
    known = known_records(commit.connection, commit.monitor, identities)
    return _compare(rows, identities, known, store.now(), again=again)


def save_verdicts(
    commit: Commit,
    rows: VerdictRows,
    saved: Saved,
    *,
    run_id: int,
    episodes: Mapping[int, int] | None = None,
    keep: float = 1.0,
) -> None:
    """Write the new and changed verdicts, with the rows in `anomalies` and `contributions`.

    Args:
        commit: the open transaction of the run.
        rows: the verdicts.
        saved: the result of `compare_verdicts`.
        run_id: the run's row in the ledger.
        episodes: row number -> episode id, for every newly flagged record.
        keep: share of the normal and idle records that are stored, from 0 to 1; records with
            another verdict are always stored.

    Raises:
        StoreError: the database fails.
    """
    connection, monitor, identities = commit.connection, commit.monitor, saved.identities
    episode_ids = {identities[row]: episode for row, episode in (episodes or {}).items()}
    old = {
        identities[place]: saved.known[identities[place]]
        for place in np.flatnonzero(saved.revised).tolist()
    }
    if old:
        _supersede(connection, monitor, list(old.items()), saved.at)
        episode_ids = {**episodes_of(connection, monitor, old), **episode_ids}
    thinned = saved.fresh & _thinned(rows, keep) if keep < 1 else np.zeros(len(rows), dtype=bool)
    places: list[int] = np.flatnonzero((saved.fresh | saved.revised) & ~thinned).tolist()
    revision = {identity: was.revision + 1 for identity, was in saved.known.items()}
    written = [identities[place] for place in places]
    own: Columns = {
        "monitor": Same(monitor, len(places)),
        "revision": [revision.get(identity, FIRST_REVISION) for identity in written]
        if revision
        else Same(FIRST_REVISION, len(places)),
        "run_id": Same(run_id, len(places)),
    }
    columns = _with_first_lateness(rows.scores, identities, old)
    columns = take(columns, places) if len(places) < len(rows) else columns
    write_rows(connection, scores, {**own, **columns})
    present = set(written) if len(places) < len(rows) else None
    for table, table_rows in ((anomalies, rows.anomalies), (contributions, rows.contributions)):
        named = [
            {
                "monitor": monitor,
                "revision": revision.get(_identity(row), FIRST_REVISION),
                **row,
                **({"episode_id": _episode_of(row, episode_ids)} if table is anomalies else {}),
            }
            for row in table_rows
            if present is None or _identity(row) in present
        ]
        write_rows(connection, table, as_columns(named))


def _with_first_lateness(
    columns: Columns, identities: Sequence[Identity], old: Mapping[Identity, Known]
) -> Columns:
    """Return the columns of `scores`; keep the first stored value of `late` for known records."""
    if not old:
        return columns
    pairs = zip(identities, columns["late"], strict=True)
    return {**columns, "late": [old[i].late if i in old else late for i, late in pairs]}


def _compare(
    rows: VerdictRows,
    identities: Sequence[Identity],
    known: dict[Identity, Known],
    now: datetime,
    *,
    again: bool,
) -> Saved:
    """Return which of N records are new, and which stored records have changed."""
    fresh = np.ones(len(rows), dtype=bool)
    revised = np.zeros(len(rows), dtype=bool)
    verdicts = np.array(rows.scores["verdict"], dtype=object).reshape(len(rows))
    newly = {
        verdict: np.asarray(verdicts == verdict.value, dtype=bool)
        for verdict in (Verdict.ANOMALY, Verdict.SUPPRESSED)
    }
    at = rows.scores["scored_at"][0] if len(rows) else now
    for place, identity in enumerate(identities if known else ()):
        before = known.get(identity)
        if before is not None and before.is_current:
            judged = {name: rows.scores[name][place] for name in Known.COMPARED}
            judged["event_time"] = judged["event_time"].item().replace(tzinfo=UTC)
            fresh[place] = False
            revised[place] = before.differs(judged, again=again)
            for verdict, places in newly.items():
                places[place] &= revised[place] and before.verdict != verdict
    return Saved(
        fresh=fresh,
        revised=revised,
        flagged=newly[Verdict.ANOMALY],
        suppressed=newly[Verdict.SUPPRESSED],
        identities=identities,
        known=known,
        at=at,
    )


def _episode_of(row: Row, episodes: Mapping[Identity, int]) -> int | None:
    """Return the episode id of a record above the threshold; None if the record is suppressed."""
    return None if row.get("quiet") else episodes.get(_identity(row))


_THINNED = (Verdict.NORMAL.value, Verdict.IDLE.value)


def _thinned(rows: VerdictRows, keep: float) -> Flags:
    """Return (N,) whether a record is not stored; only normal and idle records can be left out.

    The hash of the record key decides, so that each run leaves out the same records.
    """
    return np.array(
        [
            verdict in _THINNED and is_thinned(key, keep)
            for verdict, key in zip(rows.scores["verdict"], rows.scores["record_key"], strict=True)
        ],
        dtype=bool,
    )


def is_thinned(record_key: str, keep: float) -> bool:
    """Return whether a normal or idle record is not stored; the hash of its key decides.

    Args:
        record_key: key of the record.
        keep: share of the normal and idle records that are stored, from 0 to 1.
    """
    return crc32(record_key.encode()) >= keep * 2**32


def _identity(row: Row) -> Identity:
    return row["entity"], row["record_key"]


def _supersede(
    connection: sa.Connection,
    monitor: str,
    old: Sequence[tuple[Identity, Known]],
    at: datetime,
) -> None:
    """Set the time at which stored revisions of verdicts were superseded by new revisions."""
    statement = (
        sa.update(scores)
        .where(
            scores.c.monitor == monitor,
            scores.c.record_key == sa.bindparam("key"),
            scores.c.entity == sa.bindparam("of"),
            scores.c.revision == sa.bindparam("old"),
            scores.c.event_time == sa.bindparam("at"),
        )
        .values(superseded_at=at)
    )
    connection.execute(
        statement,
        [
            {"key": key, "of": entity, "old": was.revision, "at": was.event_time}
            for (entity, key), was in old
        ],
    )


def settle(store: Store, monitor: str, mark: Mark, settled: Watermark, keep: float) -> Mark:
    """Set the settled position of a monitor, and delete scores that are not kept; return the mark.

    aemon no longer looks for records up to `settled`. Until now, all scores of these records were
    kept, because late records were compared with these scores.

    Args:
        store: the store.
        monitor: name of the monitor.
        mark: the mark that the writer knows.
        settled: the new settled position.
        keep: share of the normal and idle records whose scores are kept, from 0 to 1.

    Raises:
        StaleWatermarkError: another writer moved the watermark first.
        StoreError: the database fails.
        ValueError: the monitor has no watermark yet.
    """
    if mark.watermark is None:
        raise ValueError("nothing can be settled before a record was read")
    with store.writing() as connection:
        moved = store.move(connection, monitor, mark, mark.watermark, settled)
        began = mark.settled.event_time if mark.settled else None
        if keep < 1 and began is not None and settled.event_time is not None:
            period = scores.c.event_time.between(began, settled.event_time)
            normal = scores.c.verdict.in_(_THINNED)
            query = sa.select(scores.c.record_key).where(
                scores.c.monitor == monitor, period, normal
            )
            keys = [key for (key,) in connection.execute(query) if is_thinned(key, keep)]
            for start in range(0, len(keys), KEYS_AT_ONCE):
                some = scores.c.record_key.in_(keys[start : start + KEYS_AT_ONCE])
                connection.execute(
                    sa.delete(scores).where(scores.c.monitor == monitor, period, normal, some)
                )
    return moved
