"""Flagged records: listing them, and explaining why a record was flagged or was not."""

import re
from datetime import datetime

from aemon.errors import AmbiguousError, NotFoundError
from aemon.operations.installation import Installation
from aemon.records import Verdict
from aemon.store.queries import FlaggedRecord, JudgedRecord, flagged_records, judged_records

MOST_NAMED = 10  # of the records or entities that a key may mean
_SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def list_flagged_records(
    installation: Installation,
    monitor: str | None = None,
    *,
    since: datetime | None = None,
    limit: int = 20,
    suppressed: bool = False,
) -> tuple[FlaggedRecord, ...]:
    """Return flagged records, newest first; with `suppressed`, the suppressed ones instead.

    Args:
        installation: where.
        monitor: only this monitor's.
        since: only from this event time on, aware.
        limit: at most this many.
        suppressed: records above the threshold that were kept quiet.

    Raises:
        ConfigError: there is no such monitor.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    found = flagged_records(
        installation.store, monitor=monitor, since=since, limit=limit, suppressed=suppressed
    )
    return tuple(found)


def explain_record(
    installation: Installation, monitor: str, record_key: str, entity: str | None = None
) -> FlaggedRecord | JudgedRecord:
    """Return a record with the reasons it was flagged for; one that was not, with its verdict.

    Args:
        installation: where.
        monitor: whose record.
        record_key: the record's key; a time may be given to the second, as tables show it.
        entity: the record's entity, where several share the key.

    Raises:
        ConfigError: there is no such monitor.
        NotFoundError: no such record was judged.
        AmbiguousError: several records fit.
        NoResultsError: there are no results yet.
    """
    installation.monitors(monitor)
    judged = _find_record(installation, monitor, record_key, entity)
    found = flagged_records(
        installation.store,
        monitor=monitor,
        entity=judged.entity,
        record_key=judged.record_key,
        suppressed=judged.verdict == Verdict.SUPPRESSED,
        limit=1,
    )
    return found[0] if found else judged


def _find_record(
    installation: Installation, monitor: str, key: str, entity: str | None
) -> JudgedRecord:
    store = installation.store
    found = judged_records(store, monitor, key)
    if not found and _SHORT_TIME.fullmatch(key):  # a time as it is shown, without its fraction
        found = judged_records(store, monitor, f"{key}.", prefix=True)
    if entity is not None:
        found = [record for record in found if record.entity == entity]
    if not found:
        whose = f" of {entity!r}" if entity is not None else ""
        raise NotFoundError(
            f"{monitor} has judged no record {key!r}{whose}",
            todo="the records its first detector learned from are not judged; "
            "`aemon anomalies` lists those that were flagged",
        )
    if len(found) > 1:
        raise _ambiguous(monitor, key, found)
    return found[0]


def _ambiguous(monitor: str, key: str, found: list[JudgedRecord]) -> AmbiguousError:
    keys = {record.record_key for record in found}
    entities = {record.entity for record in found}
    one_entity = len(entities) == 1
    candidates = keys if one_entity else entities
    names = ", ".join(repr(name) for name in sorted(candidates)[:MOST_NAMED])
    if len(candidates) > MOST_NAMED:
        names += f" and {len(candidates) - MOST_NAMED} more"
    if one_entity:
        return AmbiguousError(
            f"{monitor} has judged {len(found)} records {key!r}: {names}",
            todo="give the whole key of one",
        )
    return AmbiguousError(
        f"{monitor} has judged a record {key!r} of {len(entities)} entities: {names}",
        todo="say which one with --entity",
    )
