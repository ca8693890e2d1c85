"""Asking the running daemon how it is, over its own HTTP; it may not be there."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aemon.config.addresses import public_address
from aemon.config.schema import Config
from aemon.store.engine import store_url

PATIENCE_SECONDS = 2.0
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 -- asked, not listened on


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a daemon told, or why there is none to be had.

    Attributes:
        address: `host:port` that was asked.
        told: `/status.json`; None without a daemon.
        why: what was heard instead of it.
    """

    address: str
    told: Mapping[str, Any] | None
    why: str = ""


def ask_daemon(config: Config) -> Answer:
    """Ask at the configured address; of whatever goes wrong, the answer tells."""
    host, _, port = config.http.listen.rpartition(":")
    address = f"{_ANY_HOST.get(host, host)}:{port}"
    if port.strip("0") == "":
        return Answer(address=address, told=None, why="http.listen names no port to ask at")
    # No proxy of the environment stands between a host and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/status.json", timeout=PATIENCE_SECONDS) as answer:
            told = json.load(answer)
        theirs = told["store"]
    except urllib.error.HTTPError as error:
        why = f"{address} answers, but tells nothing: {error.code} {error.reason}"
        return Answer(address=address, told=None, why=why)
    except OSError:
        return Answer(address=address, told=None, why=f"the daemon does not answer at {address}")
    except (ValueError, KeyError, TypeError):
        return Answer(address=address, told=None, why=f"what answers at {address} is no aemon")
    ours = public_address(store_url(config.store.get_secret_value()))
    if theirs != ours:
        why = f"the daemon at {address} has another store, {theirs}"
        return Answer(address=address, told=None, why=why)
    return Answer(address=address, told=told)
