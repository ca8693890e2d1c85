"""Fences, which prevent a replica from writing after the replica has lost its lease."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from aemon.errors import SkipError
from aemon.store.schema.lifecycle_tables import leases
from aemon.store.store import Store


class LostLeaseError(SkipError):
    """Error: another replica has taken the lease of the monitor; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fence:
    """The lease that a writer must hold while it writes: monitor, holder and fencing token."""

    monitor: str
    holder: str
    token: int
    lease: timedelta


def fenced(store: Store, fence: Fence | None) -> Store:
    """Return a copy of the store in which every write transaction first checks the lease.

    If `fence` is None, return the store unchanged: a command of a person holds no lease. Instead,
    the compare-and-set of the watermark keeps the command and other writers apart.
    """
    return store if fence is None else store.guarded(partial(check_fence, fence=fence))


def check_fence(connection: sa.Connection, fence: Fence) -> None:
    """Check that the writer still holds its lease; lock the lease until the transaction ends.

    Raises:
        LostLeaseError: another replica has taken the lease.
    """
    columns: list[Any] = [leases.c.token]
    if connection.dialect.name == "postgresql":
        # Without this timeout, a writer that stops within a transaction keeps its locks for ever.
        longest = str(max(1000, round(fence.lease.total_seconds() * 1000)))  # milliseconds
        name = "idle_in_transaction_session_timeout"
        columns.append(sa.func.set_config(name, longest, sa.true()))
    query = sa.select(*columns).where(
        leases.c.monitor == fence.monitor,
        leases.c.holder == fence.holder,
        leases.c.token == fence.token,
    )
    # FOR KEY SHARE blocks a replica that takes the lease (FOR UPDATE), but not a renewal.
    held = connection.execute(query.with_for_update(read=True, key_share=True)).first()
    if held is None:
        raise LostLeaseError(f"{fence.monitor}: another replica watches this monitor now")
