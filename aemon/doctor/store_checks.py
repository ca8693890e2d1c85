"""The checks of the results database, and of the daemons that share this database."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import sqlalchemy as sa

from aemon.clock import format_duration
from aemon.config.schema import Config
from aemon.doctor.finding import Finding, error, ok, warning
from aemon.store.delivery import listed
from aemon.store.engine import READ_ONLY, store_errors
from aemon.store.leases import database_time, lease_rows, seen_replicas
from aemon.store.outbox import NotificationState
from aemon.store.schema import revisions
from aemon.store.schema.tables import monitors
from aemon.store.store import Store

LITTLE_SPACE, TOO_LITTLE_SPACE = 2_000_000_000, 200_000_000  # bytes
MOST_SKEW = timedelta(seconds=5)
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "afs"}


def tables(store: Store, _config: Config) -> Finding:
    """Check that the schema fits this version of aemon."""
    differences = revisions.check(store.engine)
    if differences:
        return error("schema", "; ".join(differences), "aemon db upgrade, or restore a backup")
    return ok("schema", f"revision {revisions.HEAD_REVISION}")


def writable(store: Store, _config: Config) -> Finding:
    """Check that a row can be written; the transaction is rolled back."""
    probe = sa.insert(monitors).values(name="aemon doctor was here", created_at=store.now())
    with store_errors(store.engine), store.engine.connect() as connection:
        connection.execute(probe)
        connection.rollback()
    return ok("writing", "the store can be written")


def space(store: Store, _config: Config) -> Iterator[Finding]:
    """Check that the disk of a SQLite store has free space, and a suitable file system."""
    if store.engine.url.get_backend_name() != "sqlite":
        yield ok("space", "not checked: the store is on a database server")
        return
    file = Path(str(store.engine.url.database)).resolve()
    free = shutil.disk_usage(file.parent).free
    what = f"{free / 1e9:.1f} GB are free in {file.parent}"
    todo = "free disk space, or keep fewer results: see retention and keep in the configuration"
    if free < TOO_LITTLE_SPACE:
        yield error("space", what, todo)
    elif free < LITTLE_SPACE:
        yield warning("space", what, todo)
    else:
        yield ok("space", what)
    kind = _file_system(file)
    if kind in _NETWORK:
        yield warning(
            "file system",
            f"{file} is on a network file system ({kind}), whose locks SQLite cannot rely on",
            "put the store on a local disk, or use PostgreSQL",
        )


def clocks(store: Store, _config: Config) -> Finding:
    """Check that the clocks of this host and of the database differ by at most `MOST_SKEW`."""
    with store_errors(store.engine), store.engine.connect() as plain:
        connection = plain.execution_options(**{READ_ONLY: True})
        began = store.now()
        theirs = database_time(connection, store)
        skew = theirs - (began + (store.now() - began) / 2)
    if abs(skew) > MOST_SKEW:
        way = "ahead of" if skew > timedelta(0) else "behind"
        return warning(
            "clocks",
            f"the database's clock is {_rounded(abs(skew))} {way} this host's clock",
            "synchronize both clocks by NTP: verdicts and runs have the time of this host's clock",
        )
    return ok("clocks", "the database's clock and this host's clock agree")


def watched(store: Store, config: Config) -> Iterator[Finding]:
    """Check that a live replica watches every monitor, and that all replicas send heartbeats."""
    lease = config.replicas.lease
    seen = seen_replicas(store)
    silent = {name: age for name, (_, _, age) in seen.items() if age >= lease}
    live = len(seen) - len(silent)
    for name, age in sorted(silent.items()):
        yield warning(
            "replicas",
            f"{name} has sent no heartbeat for {_rounded(age)}",
            "if this replica was not stopped on purpose, look at its log; a stopped replica is "
            "forgotten after a day",
        )
    held = {row.monitor for row in lease_rows(store, config.monitors) if row.is_held}
    unwatched = sorted(set(config.monitors) - held)
    if unwatched and live:
        yield error(
            "leases",
            f"no replica watches {', '.join(unwatched)}; live replicas: {live}",
            "check that all replicas have the same configuration, and look for lease.failed in "
            "their logs",
        )
    elif unwatched:
        what = f"no replica watches {', '.join(unwatched)}"
        yield warning("leases", what, "start the daemon: aemon run")
    else:
        yield ok("leases", f"all monitors are watched, by {live} replica{'' if live == 1 else 's'}")


def notifications(store: Store, config: Config) -> Iterator[Finding]:
    """Check that every receiver accepts notifications, and that there are no dead letters."""
    for name, receiver in config.notify.items():
        waiting = listed(store, states=[NotificationState.WAITING], receiver=name, limit=100)
        failing = next(
            (
                one
                for one in waiting
                if one.last_error and one.monitor in config.monitors
                if receiver.notifies_of(one.monitor)
            ),
            None,
        )
        if failing is not None:
            yield warning(
                "notify",
                f"{name} does not accept notifications: {failing.last_error}",
                f"aemon notify test {name}",
            )
        else:
            yield ok("notify", f"no waiting notification to {name} has failed")
    dead = listed(store, states=[NotificationState.DEAD], limit=1)
    if dead:
        yield warning(
            "notify",
            f"there are dead letters, the newest for {dead[0].receiver}: {dead[0].last_error}",
            "aemon notify list --dead; after the repair: aemon notify retry --all",
        )


CHECKS = (tables, writable, space, clocks, watched, notifications)


def _file_system(file: Path) -> str:
    """Return the kind of file system that a file is on; empty if unknown."""
    mounts = [
        part for part in psutil.disk_partitions(all=True) if file.is_relative_to(part.mountpoint)
    ]
    best = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    return best.fstype if best else ""


def _rounded(age: timedelta) -> str:
    whole = 60 if age >= timedelta(minutes=2) else 1
    return format_duration(timedelta(seconds=age.total_seconds() // whole * whole))
