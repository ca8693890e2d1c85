"""A MariaDB that is read stays as it is; its types and names; what hangs there ends."""

import threading
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aemon.errors import AemonError, SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable

HANGS = (
    "SELECT NOW(6) AS ts, 1 AS id, "
    "(SELECT COUNT(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b) AS n"
)


@pytest.fixture
def run(mariadb_server, mariadb_url):
    """Runs a statement in the database of the test, as its administrator."""
    name = mariadb_url.rpartition("/")[2]
    return lambda statement: mariadb_server.run(statement, name)


@pytest.fixture
def opened(mariadb_url):
    sources = []

    def opened(**what):
        given = {"url": mariadb_url, "time": "ts", "key": "id"} | what
        sources.append(SqlTable(SqlSource(**given)))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


def hanging(run):
    return run("SELECT ID FROM information_schema.processlist WHERE INFO LIKE '%seq_1_to_1000000 b%'"
               " AND ID <> CONNECTION_ID()")  # fmt: skip


def wait(done, what, seconds=20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def test_what_a_view_calls_cannot_write(run, opened):
    run("CREATE TABLE written (at INT)")
    run("CREATE TABLE base AS SELECT NOW(6) AS ts, 1 AS id")
    run("CREATE FUNCTION noted() RETURNS INT MODIFIES SQL DATA BEGIN "
        "INSERT INTO written VALUES (1); RETURN 1; END")  # fmt: skip
    run("CREATE SQL SECURITY INVOKER VIEW readings AS SELECT ts, id, noted() AS note FROM base")
    with pytest.raises(AemonError, match="READ ONLY"):
        opened(table="readings").fetch(None, 5)
    for query in ("SELECT NOW() AS ts, 1 AS id; INSERT INTO written VALUES (2)",):
        with pytest.raises(AemonError):
            opened(query=query).fetch(None, 5)
    assert run("SELECT * FROM written") == []


def test_the_server_ends_a_statement_that_takes_longer_than_it_may(run, opened):
    with pytest.raises(SourceError, match="max_statement_time exceeded") as caught:
        opened(query=HANGS, statement_timeout="200ms").fetch(None, 5)
    assert "statement_timeout: 2h" in caught.value.todo
    wait(lambda: not hanging(run), "the statement to end")


def test_a_shorter_time_that_the_server_sets_stays_in_force(run, opened):
    query = "SELECT NOW() AS ts, 1 AS id, @@SESSION.max_statement_time AS told"

    def in_force():
        return float(opened(query=query).fetch(None, 5).table["told"].iloc[0])

    assert in_force() == 3600
    try:
        run("SET GLOBAL max_statement_time = 5")
        assert in_force() == 5
    finally:
        run("SET GLOBAL max_statement_time = 0")


def test_closing_a_source_ends_what_another_thread_asks(run, opened):
    source, ended = opened(query=HANGS), []

    def ask():
        try:
            source.fetch(None, 5)
        except AemonError as error:
            ended.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait(lambda: hanging(run), "the query to run")
    source.close()
    thread.join(20)
    assert len(ended) == 1
    wait(lambda: not hanging(run), "the statement to end")
    with pytest.raises(AemonError, match="closed"):
        source.fetch(None, 5)


def test_its_types_are_read_and_its_odd_names_quoted(run, opened):
    run(
        "CREATE TABLE `select` (`the time` DATETIME(6), `key` BIGINT UNSIGNED PRIMARY KEY, "
        '`a``b "c` DECIMAL(10, 3), bit_ BIT(1), `on` BOOLEAN, day DATE, words TEXT, raw BLOB)'
    )
    run(
        "INSERT INTO `select` VALUES ('2026-03-01 10:00:00.123456', 18446744073709551615, 1.250, "
        "b'1', TRUE, '2026-03-01', 'Grüße 💧', 'x'), (NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    source = opened(table="select", time="the time", key="key", timezone="Europe/Berlin")
    fetched = source.fetch(None, 10)
    assert "1 rows have no the time or key" in fetched.warnings[0]
    assert fetched.watermark.event_time == datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)
    frame = check_frame(fetched.table, source.roles)
    assert frame.keys.tolist() == ["18446744073709551615"]
    row = frame.values.iloc[0]
    assert Decimal(str(row['a`b "c'])) == Decimal("1.25")
    assert row["words"] == "Grüße 💧"
    assert source.fetch(fetched.watermark, 10).table.empty


def test_rows_that_share_a_time_are_read_once_in_whatever_pieces(run, opened):
    run("CREATE TABLE readings (ts DATETIME(6), id VARCHAR(20), pump VARCHAR(5), v DOUBLE)")
    run(
        "INSERT INTO readings SELECT '2026-03-01' + INTERVAL seq DIV 7 SECOND, seq DIV 2, "
        "IF(seq % 2, 'p1', NULL), seq FROM seq_0_to_99"
    )
    source = opened(table="readings", entity="pump")
    for limit in (3, 10, 1000):
        keys, mark, more = [], None, True
        while more:
            fetched = source.fetch(mark, limit)
            keys += fetched.table["v"].tolist()
            mark, more = fetched.watermark, fetched.more
        assert sorted(keys) == list(range(100))


def test_what_is_not_there_is_told_without_the_password(run, opened):
    run("CREATE TABLE readings (ts DATETIME, id INT)")
    with pytest.raises(SourceConfigError, match="no table or view 'reading'") as caught:
        opened(table="reading").fetch(None, 5)
    assert "did you mean readings?" in caught.value.todo
    with pytest.raises(SourceConfigError, match="no column 'at'"):
        opened(table="readings", time="at").fetch(None, 5)
    wrong = opened(table="readings")._database.engine.url.set(password="sesame")
    with pytest.raises(AemonError, match="Access denied") as denied:
        opened(url=wrong.render_as_string(hide_password=False), table="readings").fetch(None, 5)
    assert "sesame" not in str(denied.value)
