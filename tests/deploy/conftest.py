"""The images and the machine that tests of `deploy/` share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.images import Images, need
from tests.deploy.machine import Machine, booted, commands


@pytest.fixture(scope="session")
def images(pytestconfig) -> Images:
    return Images(pytestconfig.cache.mkdir("images"))


@pytest.fixture(scope="session")
def aemon_files(images) -> Iterator[Path]:
    """The files of aemon's image."""
    with images.mounted(images.aemon()) as files:
        yield files


@pytest.fixture(scope="session")
def machine(images, aemon_files) -> Iterator[Machine]:
    """A machine with the unit installed as the README says, its service stopped."""
    need("systemd-nspawn", "nsenter")
    with images.mounted(images.base()) as files, booted(files, aemon_files) as machine:
        _into_environment, into_place, _look = commands("systemd")
        machine.shell(into_place)
        machine.run("systemctl", "stop", "aemon")
        yield machine
