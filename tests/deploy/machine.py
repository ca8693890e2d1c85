"""A machine of its own with a real systemd, in which the unit is installed as README.md says."""

import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.deploy.images import ROOT
from tests.lacking import lacking

BOOT_SECONDS = 60
README = ROOT / "deploy" / "README.md"


class Machine:
    """A booted machine that shares nothing with this one but its kernel; root may do all in it.

    Args:
        files: its root, as seen from here.
        leader: the number of its first process.
    """

    def __init__(self, files: Path, leader: int) -> None:
        self.files = files
        self._enter = ["nsenter", "--target", str(leader), "--all", "--"]

    def run(self, *command: str, check: bool = True) -> str:
        """What a command in it prints."""
        done = subprocess.run(
            [*self._enter, *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def shell(self, script: str) -> str:
        """What a script prints; it is run in the checkout and ends where a command fails."""
        return self.run("sh", "-euc", f"cd /src\n{script}")

    def show(self, what: str) -> str:
        """A property of the service."""
        return self.run("systemctl", "show", "aemon", "--value", f"--property={what}").strip()

    def journal(self) -> str:
        """What the service has logged since the machine booted, and what systemd said of it."""
        return self.run("journalctl", "--unit=aemon", "--no-pager", "--output=cat")

    def wait(self, done: Callable[[], object], what: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"waited for {what}:\n{self.journal()[-4000:]}"
            time.sleep(0.1)

    def write(self, path: str, text: str) -> None:
        """A file of its own; of /etc/aemon, aemon may read it."""
        target = self.files / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if path.startswith("/etc/aemon/"):
            self.run("chgrp", "aemon", path)


def commands(heading: str) -> list[str]:
    """The scripts that the README gives under a heading."""
    text = README.read_text(encoding="utf-8")
    part = re.split(r"^## ", text, flags=re.MULTILINE)
    (found,) = [section for section in part if section.startswith(f"{heading}\n")]
    return re.findall(r"^```sh\n(.*?)^```", found, re.MULTILINE | re.DOTALL)


@contextmanager
def booted(files: Path, aemon: Path) -> Iterator[Machine]:
    """A machine whose root is at `files`, with aemon as it is in the image whose root is `aemon`."""
    command = [
        # A killed test run leaves no machine behind.
        "setpriv", "--pdeathsig", "KILL", "--", "systemd-nspawn", "--quiet", "--boot",
        "--console=pipe", "--register=no", "--keep-unit", "--private-network",
        f"--machine=aemon-{uuid.uuid4().hex[:8]}", f"--directory={files}",
        f"--bind-ro={aemon}/opt/aemon:/opt/aemon", f"--bind-ro={ROOT}/deploy:/src/deploy",
    ]  # fmt: skip
    log = files.parent / "console.log"
    with log.open("w") as console:
        container = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
    try:
        machine = _wait_until_up(container, files, log)
        yield machine
        machine.run("systemctl", "poweroff")
        container.wait(30)
    finally:
        if container.poll() is None:
            container.kill()
            container.wait()


def _wait_until_up(container: "subprocess.Popen[bytes]", files: Path, log: Path) -> Machine:
    deadline = time.monotonic() + BOOT_SECONDS
    while container.poll() is None and time.monotonic() < deadline:
        for process in psutil.Process(container.pid).children():
            machine = Machine(files, process.pid)
            state = machine.run("systemctl", "is-system-running", check=False).strip()
            if state in {"running", "degraded"}:
                return machine
        time.sleep(0.1)
    container.kill()
    return lacking(f"a machine with systemd ({log.read_text()[-2000:]})")
