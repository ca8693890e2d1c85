"""Sources of tables, closed after the test."""

from contextlib import ExitStack

import pytest

from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable


@pytest.fixture
def open_table():
    """Opens sources of a database, by default of its table `readings`."""
    with ExitStack() as stack:

        def open_table(url, **settings):
            given = {"url": url, "time": "ts", "key": "id"} | settings
            if "query" not in given:
                given.setdefault("table", "readings")
            source = SqlTable(SqlSource(**given))
            stack.callback(source.close)
            return source

        yield open_table
