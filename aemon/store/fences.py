"""Fences: a replica whose lease has changed hands writes nothing any more."""

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
    """What a writer shows to be let through: it holds the monitor's lease, and still does."""

    monitor: str
    holder: str
    token: int
    lease: timedelta


def fenced(store: Store, fence: Fence | None) -> Store:
    """The store as a holder writes to it: every transaction begins with a look at its lease.

    A command that a person runs holds no lease and shows no fence: it has the watermark's
    compare-and-set.
    """
    return store if fence is None else store.guarded(partial(check_fence, fence=fence))


def check_fence(connection: sa.Connection, fence: Fence) -> None:
    """Let a writer through whose lease is its own; nobody takes it before the transaction ends.

    Raises:
        LostLeaseError: another replica has taken it.
    """
    columns: list[Any] = [leases.c.token]
    if connection.dialect.name == "postgresql":
        # A writer that is frozen in the middle would hold its locks for ever.
        longest = str(max(1000, round(fence.lease.total_seconds() * 1000)))  # milliseconds
        name = "idle_in_transaction_session_timeout"
        columns.append(sa.func.set_config(name, longest, sa.true()))
    query = sa.select(*columns).where(
        leases.c.monitor == fence.monitor,
        leases.c.holder == fence.holder,
        leases.c.token == fence.token,
    )
    # FOR KEY SHARE: in the way of whoever takes it (FOR UPDATE), not of its own renewal.
    held = connection.execute(query.with_for_update(read=True, key_share=True)).first()
    if held is None:
        raise LostLeaseError(f"{fence.monitor}: another replica watches it now")
