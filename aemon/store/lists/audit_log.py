"""The audit: every change that a person or program made, with who, when and from where."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Unpack

import sqlalchemy as sa

from aemon.frame import printable
from aemon.records import Actor
from aemon.store.lists.narrowing import Narrowed, narrowed, of_monitors
from aemon.store.schema.tables import audit
from aemon.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRow:
    """A change that a person or program made."""

    id: int
    at: datetime
    who: str
    origin: str
    address: str
    action: str
    monitor: str
    details: dict[str, Any]


def audited(store: Store, actor: Actor, action: str, monitor: str = "", **details: Any) -> Store:
    """Return a copy of a store that writes a row of the audit in each write transaction.

    So a change and its row are committed together, or neither is.

    Args:
        store: the store.
        actor: the author of the change.
        action: what is done, such as `acknowledge`.
        monitor: the monitor that is concerned; empty for no single monitor.
        details: what the request says; values that are None or empty are left out.
    """
    row = {
        "at": store.now(),
        "who": printable(actor.who),
        "origin": actor.origin,
        "address": actor.address,
        "action": action,
        "monitor": monitor,
        "details": _said(details),
    }

    def note(connection: sa.Connection) -> None:
        connection.execute(sa.insert(audit).values(row))

    return store.guarded(note)


def _said(details: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in details.items() if value not in (None, "")}
    return {
        name: printable(value) if isinstance(value, str) else value for name, value in said.items()
    }


def audit_rows(
    store: Store,
    monitors: Collection[str],
    *,
    limit: int,
    who: str | None = None,
    action: str | None = None,
    **wanted: Unpack[Narrowed],
) -> list[AuditRow]:
    """Return at most `limit` rows of the audit, newest first.

    Args:
        store: the store.
        monitors: only changes that concern one of these monitors.
        limit: the largest number of rows.
        who: only changes of this user or token; None for all changes.
        action: only changes of this kind; None for all changes.
        wanted: more conditions.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(audit.c[name] for name in AuditRow.__slots__))
        .where(
            of_monitors(audit.c.monitor, monitors),
            *narrowed(audit, (audit.c.id,), wanted, audit.c.at),
        )
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    if who is not None:
        query = query.where(audit.c.who == who)
    if action is not None:
        query = query.where(audit.c.action == action)
    with store.reading() as connection:
        return [AuditRow(**row) for row in connection.execute(query).mappings()]
