"""Folders that may not be listed or entered, also for tests that root runs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are its user's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for inner in [folder, *folder.rglob("*")]:
            if inner.is_dir():
                inner.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def as_other_user(folder: Path, mode: int) -> Iterator[None]:
    """Be somebody to whom a folder gives the rights of others in `mode`.

    Root may do everything, so within this it is nobody. Modules must be loaded before.
    """
    root = os.geteuid() == 0
    folder.chmod(mode if root else (mode & 0o7) << 6)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
