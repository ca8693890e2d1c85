"""The rule for what a machine may lack: skipped aloud, but in CI a failure."""

import os
import shutil
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """End a test whose server or data set is missing here."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: missing, and CI promises it")
    pytest.skip(f"{what}: missing here, so this was NOT tested")


def needs_program(name: str, package: str) -> str:
    """The path of a program; without it, the test ends.

    Args:
        name: what it is called.
        package: where Debian has it.
    """
    path = shutil.which(name)
    return path or lacking(f"{name} (apt-get install {package})")
