"""A PostgreSQL database that is read stays as it is, and is left alone once nobody reads any more."""

import threading
import time
from contextlib import closing

import psycopg
import pytest

from aemon.errors import AemonError, SourceError
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable

pytestmark = pytest.mark.postgresql
CALLS = {
    "fetch": lambda source: source.fetch(None, 5),
    "newest": lambda source: source.newest(None, 5),
    "count": lambda source: source.count(5),
    "look for a row": lambda source: source._scalar(source._order.largest_key()),
    "names": lambda source: source._read(source._order.no_row(), 1),
}


@pytest.fixture
def server(postgres_url):
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE written (at timestamptz DEFAULT now())")
        connection.execute(
            "CREATE FUNCTION noted() RETURNS int LANGUAGE sql AS"
            " 'INSERT INTO written DEFAULT VALUES RETURNING 1'"
        )
        yield connection


@pytest.fixture
def opened(postgres_url):
    sources = []

    def opened(**what):
        sources.append(SqlTable(SqlSource(url=postgres_url, time="ts", key="id", **what)))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


def written(server) -> int:
    return server.execute("SELECT count(*) FROM written").fetchone()[0]


def ours(server, state="%") -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aemon' AND state LIKE %s AND datname = current_database()"
    return server.execute(query, (state,)).fetchone()[0]


def wait(done, what, seconds=20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("call", CALLS)
def test_a_view_that_writes_is_refused(server, opened, call):
    server.execute("CREATE TABLE base AS SELECT now() AS ts, 1 AS id")
    server.execute("CREATE VIEW readings AS SELECT ts, id, noted() AS note FROM base")
    source = opened(table="readings")
    if call in ("fetch", "newest"):
        with pytest.raises(AemonError, match="read-only transaction"):
            CALLS[call](source)
    assert written(server) == 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "between", ["INSERT INTO written DEFAULT VALUES", "COMMIT; INSERT INTO written DEFAULT VALUES",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; COMMIT; SELECT noted()"],
)  # fmt: skip
def test_no_second_statement_of_a_query_is_run(server, opened, between, call):
    some = "SELECT now() AS ts, 1 AS id"
    for query in (f"{some}; {between}", f"{some}) AS r; {between}; SELECT * FROM ({some}"):
        with pytest.raises(AemonError):
            CALLS[call](opened(query=query))
    assert written(server) == 0


def test_closing_a_source_ends_what_another_thread_asks(server, opened):
    source, ended = opened(query="SELECT now() AS ts, 1 AS id, pg_sleep(600)"), []

    def ask():
        try:
            source.fetch(None, 5)
        except AemonError as error:
            ended.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait(lambda: ours(server, "active"), "the query to run")
    source.close()
    thread.join(20)
    assert len(ended) == 1
    wait(lambda: ours(server) == 0, "the connections to go")
    with pytest.raises(AemonError, match="closed"):
        source.fetch(None, 5)
    source.close()


def test_the_server_looks_whether_a_dead_daemon_still_waits(server, opened):
    name = "client_connection_check_interval"
    (told,) = (
        opened(query=f"SELECT now() AS ts, 1 AS id, current_setting('{name}') AS looks")
        .fetch(None, 5)
        .table["looks"]
    )
    assert told == "5s"
    assert server.execute(f"SHOW {name}").fetchone() == ("0",)


def test_the_server_ends_a_statement_that_takes_longer_than_it_may(server, opened):
    source = opened(query="SELECT now() AS ts, 1 AS id, pg_sleep(600)", statement_timeout="100ms")
    with pytest.raises(SourceError, match="due to statement timeout") as caught:
        source.fetch(None, 5)
    assert "statement_timeout: 2h" in caught.value.todo
    assert server.execute("SHOW statement_timeout").fetchone() == ("0",)


@pytest.mark.parametrize(("of_the_role", "in_force"), [("5s", "5s"), ("2h", "1h"), ("0", "1h")])
def test_a_shorter_time_that_the_server_sets_stays_in_force(server, opened, of_the_role, in_force):
    name = server.execute("SELECT current_database()").fetchone()[0]
    server.execute(f"ALTER DATABASE \"{name}\" SET statement_timeout = '{of_the_role}'")
    query = "SELECT now() AS ts, 1 AS id, current_setting('statement_timeout') AS told"
    for _ in range(2):
        assert opened(query=query).fetch(None, 5).table["told"].tolist() == [in_force]
