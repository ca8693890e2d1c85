"""Lists flagged records, and explains why a record was flagged or not."""

import re
from datetime import datetime

from aemon.errors import AmbiguousError, NotFoundError
from aemon.operations.installation import Installation
from aemon.records import Verdict
from aemon.store.lists.judged_records import JudgedRecord, judged_records
from aemon.store.queries import FlaggedRecord, flagged_records

MOST_NAMED = 10  # records or entities that the error about an ambiguous key names
_SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def list_flagged_records(
    installation: Installation,
    monitor: str | None = None,
    *,
    since: datetime | None = None,
    limit: int = 20,
    suppressed: bool = False,
) -> tuple[FlaggedRecord, ...]:
    """Return flagged records, newest first; with `suppressed`, return suppressed records instead.

    Args:
        installation: the installation.
        monitor: only records of this monitor; None for all monitors.
        since: only records from this event time on, aware; None for all times.
        limit: largest number of records.
        suppressed: whether to return suppressed records instead of flagged records.

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
    """Return a judged record with its verdict; if the record was flagged, also with its reasons.

    Args:
        installation: the installation.
        monitor: the monitor of the record.
        record_key: key of the record; a time may be given without fractions of a second.
        entity: entity of the record, needed if several entities share the key.

    Raises:
        ConfigError: there is no such monitor.
        NotFoundError: no such record was judged.
        AmbiguousError: several records have this key.
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
    if not found and _SHORT_TIME.fullmatch(key):  # tables show a time without its fraction
        found = judged_records(store, monitor, f"{key}.", prefix=True)
    if entity is not None:
        found = [record for record in found if record.entity == entity]
    if not found:
        owner = f" of {entity!r}" if entity is not None else ""
        raise NotFoundError(
            f"{monitor} has judged no record {key!r}{owner}",
            todo="the training records of its first detector are not judged; "
            "`aemon anomalies` lists the flagged records",
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
            todo="give the whole key of one record",
        )
    return AmbiguousError(
        f"{monitor} has judged a record {key!r} of {len(entities)} entities: {names}",
        todo="name the entity with --entity",
    )
