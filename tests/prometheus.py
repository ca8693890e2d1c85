"""A real Prometheus for tests: it scrapes, evaluates rules and tells an Alertmanager."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lacking import needs_program
from tests.processes import free_port, is_ready

SECOND = "1s"


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str
    log: Path

    def get(self, path: str, **query: str) -> Any:
        """What its API answers."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        assert told["status"] == "success", told
        return told["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        return list(self.get("query", query=expression)["result"])

    def value(self, expression: str) -> float | None:
        """The only number that an expression gives now, if there is one."""
        found = self.ask(expression)
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[tuple[str, str]]:
        """(alert, monitor) of what fires."""
        alerts = self.get("alerts")["alerts"]
        labels = [alert["labels"] for alert in alerts if alert["state"] == "firing"]
        return {(label["alertname"], label.get("monitor", "")) for label in labels}

    def wait(self, done: Callable[[], bool], what: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"waited for {what}:\n{self.log.read_text()}"
            time.sleep(0.2)


@contextmanager
def prometheus(
    folder: Path,
    targets: Sequence[str],
    *,
    rules: Sequence[Path] = (),
    alertmanager: str = "",
    scrape: dict[str, Any] | None = None,
    options: Sequence[str] = (),
    more: dict[str, Any] | None = None,
    port: int | None = None,
    tls: bool = False,
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `host:port`s every second, as the job `aemon`.

    Args:
        folder: for its files.
        targets: what it scrapes.
        rules: files of rules.
        alertmanager: `host:port` of one that it tells.
        scrape: further keys of the scrape job, such as `basic_auth`.
        options: further ones of the command line.
        more: further parts of its configuration.
        port: where it listens; a free one.
        tls: whether it does so by TLS, and asks for credentials: then it is ready when it says so.
    """
    binary = needs_program("prometheus", "prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    told = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
    document = {
        "global": {"scrape_interval": SECOND, "evaluation_interval": SECOND},
        "rule_files": [str(path) for path in rules],
        "alerting": {"alertmanagers": told},
        "scrape_configs": [
            {"job_name": "aemon", "static_configs": [{"targets": [*targets]}], **(scrape or {})}
        ],
        **(more or {}),
    }
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    url = f"127.0.0.1:{port or free_port()}"
    log = folder / "prometheus.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [
                binary, f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={url}", *options,
            ],
            stdout=written, stderr=written,
        )  # fmt: skip
    running = Prometheus(f"{'https' if tls else 'http'}://{url}", log)
    try:
        running.wait(
            lambda: (
                "ready to receive web requests" in log.read_text() if tls else is_ready(running.url)
            ),
            "Prometheus to be ready",
        )
        yield running
    finally:
        process.kill()
        process.wait()
