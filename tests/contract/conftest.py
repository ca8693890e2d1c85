"""Servers that worlds share."""

import pytest

from tests.remote_write import written_prometheus


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory):
    with written_prometheus(tmp_path_factory.mktemp("prometheus"), lookback="900ms") as server:
        yield server.url
