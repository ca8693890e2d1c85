"""The diagnosis of an installation: each check is a function; all checks run, even if one fails."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ParamSpec

from aemon import __version__
from aemon.clock import utc_now
from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.config.values.addresses import public_address
from aemon.doctor import host_checks, monitor_checks, store_checks
from aemon.doctor.daemon_client import ask_daemon
from aemon.doctor.finding import Finding, error, ok, warning
from aemon.errors import AemonError
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store

P = ParamSpec("P")


def diagnose(path: Path) -> Iterator[Finding]:
    """Yield the findings of all checks; each check runs after the checks that it depends on."""
    try:
        config = load_config(path)
    except AemonError as broken:
        todo = broken.todo or "correct this setting; aemon config schema shows what is allowed"
        *others, last = broken.message.splitlines()  # one mistake on each line
        yield from (error("configuration", other, "") for other in others)
        yield error("configuration", last, todo)
        return
    count = len(config.monitors)
    yield ok("configuration", f"{path} is valid, with {count} monitor{'' if count == 1 else 's'}")
    for check in host_checks.CHECKS:
        yield from _found(check.__name__, check, config, path)
    yield from _found("source", monitor_checks.sources, config, utc_now)
    yield from _found("files", monitor_checks.unread_files, config)
    yield from _found("files", monitor_checks.open_ends, config, utc_now)
    yield from _store(config)
    yield from _found("daemon", _daemon, config)


def _found(
    name: str, check: Callable[P, Finding | Iterable[Finding]], *args: P.args, **kwargs: P.kwargs
) -> Iterator[Finding]:
    """Yield the findings of a check. If the check itself fails, the failure is a finding, too."""
    try:
        found = check(*args, **kwargs)
        yield from [found] if isinstance(found, Finding) else found
    except AemonError as broken:
        yield error(name.replace("_", " "), broken.message, broken.todo)
    except OSError as broken:
        todo = "run this command as a user who may read this file"
        yield error(name.replace("_", " "), f"the check failed: {broken}", todo)


def _store(config: Config) -> Iterator[Finding]:
    try:
        engine = open_engine(config.store.get_secret_value())
        revision = revisions.current_revision(engine)
    except AemonError as broken:
        yield error("store", broken.message, broken.todo)
        return
    store = Store(engine, utc_now)
    address = public_address(engine.url)
    try:
        if revision is None:
            yield warning("store", f"{address} is still empty", "start the daemon: aemon run")
            return
        yield ok("store", f"{address} answers")
        if revision != revisions.HEAD_REVISION:
            what = f"the store has schema {revision}; this aemon needs {revisions.HEAD_REVISION}"
            yield error("schema", what, "make a backup of the store, then: aemon db upgrade")
            return
        for check in (*store_checks.CHECKS, *monitor_checks.OF_STORE):
            yield from _found(check.__name__, check, store, config)
    finally:
        store.close()


def _daemon(config: Config) -> Finding:
    answer = ask_daemon(config)
    if answer.status is None:
        todo = "start the daemon: aemon run; if another program uses this port, change http.listen"
        return warning("daemon", answer.why, answer.todo or todo)
    version = answer.status["aemon"]
    if version != __version__:
        what = f"the daemon at {answer.address} runs aemon {version}; {__version__} is installed"
        return warning("daemon", what, "restart the daemon, so that it runs the installed version")
    health = str(answer.status["health"])
    if health.startswith("dead"):
        return error(
            "daemon", f"{answer.address}: {health}", "restart the daemon; report this fault"
        )
    return ok("daemon", f"{answer.address}: {health}")
