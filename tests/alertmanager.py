"""A real Alertmanager for tests, that tells a webhook of what it is told."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lacking import needs_program
from tests.processes import free_port, is_ready

BINARY = "prometheus-alertmanager"
_CONFIG = """
route:
  receiver: hook
  group_by: [alertname, monitor, episode]
  group_wait: 0s
  group_interval: {interval}
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: '{hook}', send_resolved: true}}]
"""
_DEPLOYED = Path(__file__).resolve().parents[1] / "deploy/alertmanager/alertmanager.yml"


@dataclass(frozen=True)
class Alertmanager:
    """One that runs."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Those it takes for active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def active(self) -> list[tuple[str, str]]:
        """(episode, severity) of those, in order."""
        labels = [alert["labels"] for alert in self.alerts()]
        return sorted((label.get("episode", ""), label["severity"]) for label in labels)


@contextmanager
def alertmanager(folder: Path, hook: str, *, interval: str = "1s") -> Iterator[Alertmanager]:
    """An Alertmanager that tells `hook`, a group's changes every `interval`."""
    binary = needs_program(BINARY, BINARY)
    folder.mkdir(parents=True, exist_ok=True)
    inhibited = {"inhibit_rules": yaml.safe_load(_DEPLOYED.read_text())["inhibit_rules"]}
    config = _CONFIG.format(hook=hook, interval=interval) + yaml.safe_dump(inhibited)
    (folder / "alertmanager.yml").write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                binary, f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/data", "--cluster.listen-address=",
                f"--web.listen-address={url.removeprefix('http://')}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not is_ready(url):
            said = (folder / "alertmanager.log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield Alertmanager(url)
    finally:
        process.kill()
        process.wait()
