"""A container as one that trusts nobody runs it: no root, no rights, nothing to write to."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_RIGHTS = ("bounding", "effective", "inheritable", "permitted", "ambient")


class Container:
    """Runs an image's command by `runc`, a runtime of containers.

    Args:
        image: its configuration, as `buildah inspect` tells it.
        files: its root.
        folder: an empty one, for what the runtime wants to know, the volume and the output.
        command: what follows the image's entry point; the image's own if None.
        shown: a file or folder here -> where it is seen in it, to be read.
    """

    def __init__(
        self,
        image: Mapping[str, Any],
        files: Path,
        folder: Path,
        *,
        command: Sequence[str] | None = None,
        shown: Mapping[Path, str] | None = None,
    ) -> None:
        self._folder = folder
        self._name = f"aemon-{uuid.uuid4().hex[:8]}"
        self._runtime = ("runc", f"--root={folder}/runtime")
        uid, gid = map(int, image["User"].split(":"))
        (volume,) = image["Volumes"]
        self.state = folder / "state"
        self.state.mkdir()
        os.chown(self.state, uid, gid)
        limited = ("nosuid", "nodev", "noexec")
        mounts = [
            _mount("/proc", "proc", *limited),
            _mount("/dev", "tmpfs", "nosuid", "noexec", "mode=755"),
            _mount("/dev/shm", "tmpfs", *limited, "mode=1777"),
            _mount("/tmp", "tmpfs", *limited, "mode=1777"),
            _mount(volume, "bind", "bind", "rw", source=str(self.state)),
        ]
        for of, to in (shown or {}).items():
            mounts.append(_mount(to, "bind", "bind", "ro", source=str(of)))
        spaces = ("pid", "ipc", "uts", "mount")  # the network is this machine's
        config = {
            "ociVersion": "1.0.0",
            "root": {"path": str(files), "readonly": True},
            "mounts": mounts,
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*image["Entrypoint"], *(image["Cmd"] if command is None else command)],
                "env": image["Env"],
                "cwd": image["WorkingDir"],
                "capabilities": {kind: [] for kind in _RIGHTS},
                "noNewPrivileges": True,
            },
            "linux": {"namespaces": [{"type": kind} for kind in spaces]},
        }
        (folder / "config.json").write_text(json.dumps(config))

    def __enter__(self) -> Self:
        command = [*self._runtime, "run", f"--bundle={self._folder}", self._name]
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = subprocess.Popen(command, stdout=output, stderr=errors)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            subprocess.run([*self._runtime, "delete", "--force", self._name], check=False)
            self.process.wait(10)

    @property
    def _output(self) -> Path:
        return self._folder / "output"

    @property
    def _errors(self) -> Path:
        return self._folder / "errors"

    def output(self) -> str:
        """What it has printed."""
        return self._output.read_text()

    def errors(self) -> str:
        """What it has logged."""
        return self._errors.read_text()

    def signal(self, name: str) -> None:
        """Tell its first process something."""
        subprocess.run([*self._runtime, "kill", self._name, name], check=True)

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Another command in it, by the same user."""
        command = (*self._runtime, "exec", self._name, *command)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def wait(self, done: Callable[[], object], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, f"it ended:\n{self.errors()}"
            assert time.monotonic() < deadline, f"waited for {what}:\n{self.errors()[-4000:]}"
            time.sleep(0.1)


def _mount(to: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
    return {"destination": to, "type": kind, "source": source or kind, "options": list(options)}
