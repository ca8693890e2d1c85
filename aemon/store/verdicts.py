"""Saving verdicts: records and their revisions, within the transaction of a commit."""

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
    """Judged records, and for the flagged ones what goes into `anomalies` and `contributions`.

    Attributes:
        scores: columns of `scores` of N records, without monitor, revision and run; event times
            as datetime64[us] in UTC.
        anomalies: rows without monitor and revision.
        contributions: rows likewise.
    """

    scores: Columns
    anomalies: Sequence[Row] = ()
    contributions: Sequence[Row] = ()

    def __len__(self) -> int:
        return len(self.scores["record_key"])

    @property
    def event_times(self) -> npt.NDArray[np.datetime64]:
        """(N,) when each record happened."""
        return np.asarray(self.scores["event_time"], dtype="datetime64[us]")

    def identities(self) -> Iterator[Identity]:
        """(entity, record key) of each of the N records."""
        return zip(self.scores["entity"], self.scores["record_key"], strict=True)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What becomes of N judged records.

    Attributes:
        fresh: (N,) had no verdict before.
        revised: (N,) had another one; the rest had the same and are as they were.
        flagged: (N,) anomalous now, and not known to be before.
        suppressed: (N,) suppressed now, and not known to be before.
        identities: (entity, record key) of each of the N records.
        known: the verdicts there were before, by record.
        at: when they were judged.
    """

    fresh: Flags
    revised: Flags
    flagged: Flags
    suppressed: Flags
    identities: Sequence[Identity]
    known: Mapping[Identity, Known]
    at: datetime


def compare_verdicts(commit: Commit, rows: VerdictRows, *, again: bool = False) -> Saved:
    """Find out which of N judged records are new, and which have changed.

    A record that has a verdict already gets a new revision if what was judged has changed: its
    values or its time, or with `again` the detector or threshold. Otherwise it is left alone.

    Args:
        commit: of the run.
        rows: the verdicts.
        again: records were judged again by choice, perhaps by another detector.

    Raises:
        StoreError: the database fails.
    """
    store = commit.store
    # Before `scores` is touched: who makes a month waits for all that have touched it.
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
    """Write the verdicts that are new or have changed, with what is known of the flagged records.

    Args:
        commit: of the run.
        rows: the verdicts.
        saved: what `compare_verdicts` says of them.
        run_id: the run's row in the ledger.
        episodes: row -> id of its episode, of every newly flagged record.
        keep: share of the normal records whose scores are kept; all others are.

    Raises:
        StoreError: the database fails.
    """
    connection, monitor, identities = commit.connection, commit.monitor, saved.identities
    whose = {identities[row]: episode for row, episode in (episodes or {}).items()}
    old = {
        identities[place]: saved.known[identities[place]]
        for place in np.flatnonzero(saved.revised).tolist()
    }
    if old:
        _supersede(connection, monitor, list(old.items()), saved.at)
        whose = {**episodes_of(connection, monitor, old), **whose}
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
    columns = _as_they_came(rows.scores, identities, old)
    columns = take(columns, places) if len(places) < len(rows) else columns
    write_rows(connection, scores, {**own, **columns})
    there = set(written) if len(places) < len(rows) else None
    for table, table_rows in ((anomalies, rows.anomalies), (contributions, rows.contributions)):
        named = [
            {
                "monitor": monitor,
                "revision": revision.get(_identity(row), FIRST_REVISION),
                **row,
                **({"episode_id": _episode_of(row, whose)} if table is anomalies else {}),
            }
            for row in table_rows
            if there is None or _identity(row) in there
        ]
        write_rows(connection, table, as_columns(named))


def _as_they_came(
    columns: Columns, identities: Sequence[Identity], old: Mapping[Identity, Known]
) -> Columns:
    """Columns of `scores` where a known record stays late or not: it came when it came."""
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
    """Which records are new, and which are known and have changed."""
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
    """The episode of a record over the line; what is kept quiet now is in none, whatever it was."""
    return None if row.get("quiet") else episodes.get(_identity(row))


_THINNED = (Verdict.NORMAL.value, Verdict.IDLE.value)


def _thinned(rows: VerdictRows, keep: float) -> Flags:
    """Which normal and idle records are not kept (N,): told by their keys, so always the same ones."""
    return np.array(
        [
            verdict in _THINNED and is_thinned(key, keep)
            for verdict, key in zip(rows.scores["verdict"], rows.scores["record_key"], strict=True)
        ],
        dtype=bool,
    )


def is_thinned(record_key: str, keep: float) -> bool:
    """Whether a normal record is among those whose scores are not kept."""
    return crc32(record_key.encode()) >= keep * 2**32


def _identity(row: Row) -> Identity:
    return row["entity"], row["record_key"]


def _supersede(
    connection: sa.Connection,
    monitor: str,
    old: Sequence[tuple[Identity, Known]],
    at: datetime,
) -> None:
    """Note on old revisions that they are history."""
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
    """Look for no record up to `settled` any more; the new mark.

    Only now can scores be thinned that late records might have been compared with.

    Raises:
        StaleWatermarkError: another writer moved the watermark first.
        StoreError: the database fails.
    """
    if mark.watermark is None:
        raise ValueError("nothing can be settled before something was read")
    with store.writing() as connection:
        moved = store.move(connection, monitor, mark, mark.watermark, settled)
        began = mark.settled.event_time if mark.settled else None
        if keep < 1 and began is not None and settled.event_time is not None:
            stretch = scores.c.event_time.between(began, settled.event_time)
            normal = scores.c.verdict.in_(_THINNED)
            query = sa.select(scores.c.record_key).where(
                scores.c.monitor == monitor, stretch, normal
            )
            keys = [key for (key,) in connection.execute(query) if is_thinned(key, keep)]
            for start in range(0, len(keys), KEYS_AT_ONCE):
                some = scores.c.record_key.in_(keys[start : start + KEYS_AT_ONCE])
                connection.execute(
                    sa.delete(scores).where(scores.c.monitor == monitor, stretch, normal, some)
                )
    return moved
