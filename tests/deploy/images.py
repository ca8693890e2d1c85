"""Container images for tests, from Debian's packages and a folder of wheels: nothing is pulled.

One small Debian, with Python and systemd in it, is the base of aemon's image and the root of the
machine in which the unit is tried. Both are kept beside pytest's cache until what they are made of
changes; `make clean` removes them.
"""

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lacking import lacking

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
DEBIAN = ("bookworm", "deb http://deb.debian.org/debian bookworm main")
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates"
# What decides what becomes of it, besides the package itself.
INPUTS = (".dockerignore", ".ci/constraints.txt", "pyproject.toml", "deploy/Dockerfile")
PYTHON = (3, 11)  # of this Debian
BUILD_SECONDS = 280


def need(*programs: str) -> None:
    """End a test that needs root or programs that are not here."""
    missing = [name for name in programs if shutil.which(name) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        lacking(", ".join(missing))


class Images:
    """A storage of images of its own, in a folder.

    Args:
        folder: for the storage, kept from one test session to the next.
    """

    def __init__(self, folder: Path) -> None:
        need("buildah", "mmdebstrap")
        if sys.version_info[:2] != PYTHON:
            lacking("Python 3.11, for the wheels that Debian's takes")
        self._folder = folder
        self._storage = ["--root", f"{folder}/storage", "--runroot", f"{folder}/run"]
        # Where layers cannot be mounted one over the other, they are copied.
        drivers = ("overlay", "vfs")
        usable = [driver for driver in drivers if self._starts(driver)]
        if not usable:
            lacking("a storage for images")
        self._storage += ["--storage-driver", usable[0]]

    def base(self) -> str:
        """The name of the image with Debian alone."""
        name = f"localhost/base:{_hash(*DEBIAN, PACKAGES)}"
        with self._lock():
            if not self._has(name):
                tar = self._folder / "base.tar"
                _run(
                    "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}",
                    DEBIAN[0], str(tar), DEBIAN[1],
                )  # fmt: skip
                container = self.buildah("from", "scratch")
                self.buildah("add", "--quiet", container, str(tar), "/")
                self.buildah("commit", "--quiet", "--rm", container, name)
                tar.unlink()
        return name

    def aemon(self) -> str:
        """The name of aemon's image, as the Dockerfile makes it."""
        base = self.base()
        sources = [*(ROOT / "aemon").rglob("*"), *(ROOT / "migrations").rglob("*.py")]
        files = [
            *(ROOT / name for name in INPUTS),
            *sorted(path for path in sources if "__pycache__" not in path.parts),
        ]
        name = f"localhost/aemon:{_hash(base, *(_text(path) for path in files if path.is_file()))}"
        with self._lock():
            if not self._has(name):
                self._forget_older()
                self._build(base, name)
        return name

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """An image's files, to be read and written: what is written goes with the mount."""
        container = self.buildah("from", image)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)

    def buildah(self, *arguments: str) -> str:
        """What a command prints."""
        return _run("buildah", *self._storage, *arguments).strip()

    def _build(self, base: str, name: str) -> None:
        wheels = self._folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        _fetch_wheels(wheels)
        self.buildah(
            "bud", "--quiet", "--format", "docker", "--isolation", "chroot", "--layers=false",
            "--volume", f"{wheels}:/wheels:ro", "--build-arg", "PIP_FIND_LINKS=/wheels",
            "--build-arg", "PIP_NO_INDEX=1", "--build-arg", f"BASE={base}",
            "--file", str(ROOT / "deploy" / "Dockerfile"), "--tag", name, str(ROOT),
        )  # fmt: skip
        shutil.rmtree(wheels)

    def _starts(self, driver: str) -> bool:
        command = ["buildah", *self._storage, "--storage-driver", driver, "info"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _has(self, name: str) -> bool:
        return name in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines()

    def _forget_older(self) -> None:
        for name in self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
            if name.startswith("localhost/aemon:"):
                self.buildah("rmi", "--force", name)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Tests that run at once in several processes build once."""
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _fetch_wheels(folder: Path) -> None:
    """All that the image installs, from wherever pip gets it here; torch as it is here."""
    torch = f"torch=={importlib.metadata.version('torch')}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--dest", str(folder), "--find-links", str(folder), "--constraint", str(CONSTRAINTS)]
    try:
        _run(*pip, "--no-deps", torch)
    except AssertionError:
        _run(*pip, "--no-deps", "--index-url", TORCH_INDEX, torch)
    _run(*pip, "hatchling", "setuptools", f"{ROOT}[holidays,mqtt,postgresql]")


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _text(path: Path) -> str:
    return f"{path.relative_to(ROOT)}:{path.read_bytes().hex()}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
