"""Fences: a replica that has lost its lease can no longer write."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from aemon.errors import SkipError
from aemon.store.schema.lifecycle_tables import leases
from aemon.store.store import Store


class LostLeaseError(SkipError):
    """Another replica watches the monitor now; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fence:
    """The lease that a writer must still hold: monitor, holder and fencing token."""

    monitor: str
    holder: str
    token: int
    lease: timedelta


def fenced(store: Store, fence: Fence | None) -> Store:
    """Return the store for the holder of a lease: every transaction first checks the lease.

    Commands run by a person hold no lease and have no fence (None). The compare-and-set of the
    watermark protects them.
    """
    return store if fence is None else store.guarded(partial(check_fence, fence=fence))


def check_fence(connection: sa.Connection, fence: Fence) -> None:
    """Check that the writer holds its lease, and lock the lease until the transaction ends.

    Raises:
        LostLeaseError: another replica has taken the lease.
    """
    columns: list[Any] = [leases.c.token]
    if connection.dialect.name == "postgresql":
        # A writer that stops in the middle of a transaction would hold its locks for ever.
        longest = str(max(1000, round(fence.lease.total_seconds() * 1000)))  # milliseconds
        name = "idle_in_transaction_session_timeout"
        columns.append(sa.func.set_config(name, longest, sa.true()))
    query = sa.select(*columns).where(
        leases.c.monitor == fence.monitor,
        leases.c.holder == fence.holder,
        leases.c.token == fence.token,
    )
    # FOR KEY SHARE: blocks a replica that takes the lease (FOR UPDATE), not the holder's renewal.
    held = connection.execute(query.with_for_update(read=True, key_share=True)).first()
    if held is None:
        raise LostLeaseError(f"{fence.monitor}: another replica watches it now")
