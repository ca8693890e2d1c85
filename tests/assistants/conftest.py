"""The folders in which commands are run."""

from tests.cli.conftest import folder, made, once, struck  # noqa: F401
