"""The checks of the host and of the configuration file."""

import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import available_timezones

import psutil
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from aemon.config.schema import Config
from aemon.config.source_settings import secrets_of
from aemon.doctor.finding import Finding, error, ok, warning
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.sources.push.settings import PushSource
from aemon.sources.sql.settings import SqlSource
from aemon.web.access import exposure, load_access
from aemon.web.connections import MOST

FILES_A_MONITOR = 6  # maximum for each monitor: the source's connection, and a share of other files
FILES_AT_LEAST = 128 + MOST
IMPORT_SECONDS = 60.0
_HEADERS_WITH_CREDENTIALS = re.compile(
    "auth|key|secret|token", re.IGNORECASE
)  # parts of header names
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def secrets(config: Config, path: Path) -> Finding:
    """Check that other users cannot read a password in the configuration file."""
    text = path.read_text(encoding="utf-8")
    passwords = [password for url in _urls(config) if (password := _password(url))]
    passwords += _credentials(config)
    open_to_others = stat.S_IMODE(path.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH)
    if open_to_others and any(password in text for password in passwords):
        return warning(
            "secrets",
            f"{path} holds a password, and other users of this host can read the file",
            f"chmod 600 {path}, or replace the password by ${{file:/run/secrets/x}}",
        )
    return ok("secrets", f"other users of this host cannot read a password in {path}")


def drivers(config: Config, _path: Path) -> Finding:
    """Check that the driver of PostgreSQL is installed if the configuration needs it."""
    needed = any(url.startswith("postgresql") for url in _urls(config))
    if needed and find_spec("psycopg") is None:
        return error("drivers", "psycopg is not installed", "pip install 'aemon[postgresql]'")
    return ok("drivers", "all needed drivers are installed")


def time_zones(_config: Config, _path: Path) -> Finding:
    """Check that there is a time zone database."""
    count = len(available_timezones())
    if not count:
        return error(
            "time zones", "there is no time zone database", "install tzdata: pip install tzdata"
        )
    return ok("time zones", f"{count} time zones are known")


def training(_config: Config, _path: Path) -> Finding:
    """Check that a worker could train: torch loads in a separate process."""
    command = [sys.executable, "-c", "import torch; print(torch.__version__)"]
    try:
        done = subprocess.run(  # noqa: S603 -- this interpreter
            command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"torch did not load within {IMPORT_SECONDS:g} s"
        return warning("training", what, "find out which process keeps this host busy")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return error("training", f"torch does not load: {last}", "pip install torch")
    return ok("training", f"torch {done.stdout.strip()} loads")


def memory(config: Config, _path: Path) -> Finding:
    """Check that the memory limits of training workers fit into the available memory."""
    limits = sorted((one.life.train_memory for one in config.monitors.values()), reverse=True)
    largest = limits[: config.trainings_at_once]
    needed = sum(largest)
    available = psutil.virtual_memory().available
    try:
        limit = _GROUP_LIMIT.read_text().strip()
    except OSError:
        limit = ""
    if limit.isdigit():
        available = min(available, int(limit))
    what = f"{available / 1e9:.1f} GB are available"
    if needed > available:
        trainings = "a training" if len(largest) == 1 else f"{len(largest)} trainings at once"
        return warning(
            "memory",
            f"{trainings} may use up to {needed / 1e9:.1f} GB; {what}",
            "lower life.train_memory; a training that needs more memory is then ended before the "
            "host runs out of memory",
        )
    return ok("memory", what)


def open_files(config: Config, _path: Path) -> Finding:
    """Check that the daemon may open as many files as its monitors need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = len(config.monitors)
    needed = FILES_AT_LEAST + FILES_A_MONITOR * count
    if limit != resource.RLIM_INFINITY and limit < needed:
        return warning(
            "open files",
            f"{limit} files may be open at once; {count} monitors need up to {needed}",
            f"run ulimit -n {needed}, or set LimitNOFILE={needed} in the systemd unit",
        )
    return ok("open files", f"{limit} files may be open at once, {needed} are needed at most")


def http_port(config: Config, _path: Path) -> Finding:
    """Check who can read and push on the HTTP port."""
    access = load_access(config.http.web_config)
    exposed = exposure(access.settings, config.http.listen.rpartition(":")[0])
    key = access.settings.tls_server_config and access.settings.tls_server_config.key_file
    if exposed:
        todo = "see `aemon docs http-and-security`, or listen on 127.0.0.1"
        return warning("http port", exposed, todo)
    if key and key.stat().st_mode & stat.S_IROTH:
        return warning("http port", f"every user of this host can read {key}", f"chmod 640 {key}")
    if access.settings.ignored:
        todo = "leave the key out, or accept that it is ignored"
        return warning("http port", access.settings.ignored, todo)
    pushed = [name for name, one in config.monitors.items() if isinstance(one.source, PushSource)]
    if pushed and not access.settings.allows_push:
        todo = "give a user or a token the permission push; see `aemon docs http-and-security`"
        what = f"no user or token may push records to {', '.join(pushed)}"
        return warning("http port", what, todo)
    what = "requires" if access.settings.takes_credentials else "does not require"
    return ok("http port", f"{config.http.listen} {what} credentials")


CHECKS = (secrets, drivers, time_zones, training, memory, open_files, http_port)


def _urls(config: Config) -> list[str]:
    sources = (monitor.source for monitor in config.monitors.values())
    urls = [source.url.get_secret_value() for source in sources if isinstance(source, SqlSource)]
    return [config.store.get_secret_value(), *urls]


def _credentials(config: Config) -> Iterator[str]:
    """Yield the credentials for receivers, for sources, and for the daemon itself."""
    given = [config.http.client.token, config.http.client.password]
    for monitor in config.monitors.values():
        if not isinstance(monitor.source, SqlSource):
            headers = getattr(monitor.source, "headers", {})
            plain = [
                value
                for name, value in headers.items()
                if not _HEADERS_WITH_CREDENTIALS.search(name)
            ]
            given += [secret for secret in secrets_of(monitor.source) if secret not in plain]
    for receiver in config.notify.values():
        given.append(receiver.bearer_token)
        given += [
            value
            for name, value in receiver.headers.items()
            if _HEADERS_WITH_CREDENTIALS.search(name)
        ]
        given.append(receiver.basic_auth.password if receiver.basic_auth else None)
        if receiver_of(receiver).address_is_secret:
            given.append(receiver.url)
    yield from (secret.get_secret_value() for secret in given if secret)


def _password(url: str) -> str:
    try:
        return str(make_url(url).password or "")
    except ArgumentError:
        return ""
