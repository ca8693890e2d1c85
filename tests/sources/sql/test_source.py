import sqlite3
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest

from aemon.errors import ExitCode, SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.sources.sql import connecting
from aemon.sources.sql.position import keys_given_up
from aemon.sources.sql.settings import SqlSource
from aemon.sources.sql.source import SqlTable


@pytest.fixture
def plant(tmp_path):
    """A SQLite database in which statements can be run, each committed at once."""
    with closing(
        sqlite3.connect(tmp_path / "plant.db", isolation_level=None, timeout=0)
    ) as connection:
        yield connection


@pytest.fixture
def opened(open_table, tmp_path):
    """Opens sources of the plant's database and closes them after the test."""
    return partial(open_table, url=f"sqlite:///{tmp_path}/plant.db")


def fill(plant, rows=3, columns="ts TEXT, id INTEGER PRIMARY KEY, flow REAL"):
    plant.execute(f"CREATE TABLE readings ({columns})")
    for row in range(rows):
        plant.execute(
            "INSERT INTO readings (ts, id, flow) VALUES (?, ?, ?)",
            (f"2020-01-01 00:00:0{row}", row, row / 2),
        )


def read_all(source, limit=2):
    """The keys in reading order."""
    keys, mark, more = [], None, True
    while more:
        fetched = source.fetch(mark, limit)
        keys += list(fetched.table[source.roles.key])
        mark, more = fetched.watermark, fetched.more
    return keys


def test_a_missing_file_is_told_and_never_made(opened, tmp_path):
    with pytest.raises(SourceConfigError, match=r"plant\.db: no such file") as caught:
        opened().fetch(None, 1)
    assert caught.value.exit_code is ExitCode.SOURCE
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_may_become_one(opened, tmp_path):
    (tmp_path / "plant.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(SourceError, match="file is not a database"):
        opened().fetch(None, 1)


def test_a_locked_database_may_be_free_later(opened, plant, monkeypatch):
    monkeypatch.setattr(connecting, "_BUSY_SECONDS", 0.01)
    fill(plant)
    plant.execute("BEGIN EXCLUSIVE")
    source = opened()
    with pytest.raises(SourceError, match="database is locked"):
        source.fetch(None, 1)
    plant.execute("COMMIT")
    assert len(source.fetch(None, 1).table) == 1


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_writer_is_not_kept_waiting_after_a_read(opened, plant, mode):
    plant.execute(f"PRAGMA journal_mode = {mode}")
    fill(plant)
    source = opened()
    source.fetch(None, 1)
    plant.execute("INSERT INTO readings VALUES ('2020-01-02', 9, 0)")
    assert source.count(10) == 4


def test_a_wal_database_whose_writer_has_gone_is_read(opened, plant):
    plant.execute("PRAGMA journal_mode = wal")
    fill(plant)
    plant.close()
    assert read_all(opened()) == [0, 1, 2]


def test_the_source_cannot_write(opened, plant):
    fill(plant)
    with (
        opened()._database.engine.connect() as connection,
        pytest.raises(Exception, match="readonly"),
    ):
        connection.exec_driver_sql("DELETE FROM readings")


def test_a_missing_table_is_told_with_those_that_are_there(opened, plant):
    fill(plant)
    plant.execute("CREATE VIEW recent AS SELECT * FROM readings")
    with pytest.raises(
        SourceConfigError,
        match=r"no table or view 'readngs' .did you mean readings\? There are: readings, recent",
    ):
        opened(table="readngs").fetch(None, 1)


@pytest.mark.parametrize("role", ["time", "key", "entity"])
@pytest.mark.parametrize("what", [{"table": "readings"}, {"query": "SELECT * FROM readings"}])
@pytest.mark.parametrize("call", ["fetch", "newest"])
def test_a_missing_column_is_told_with_those_that_are_there(opened, plant, role, what, call):
    fill(plant)
    source = opened(**what, **{role: "Flw"})  # a name that SQLite takes for text if it may
    with pytest.raises(
        SourceConfigError, match=r"no column 'Flw' .did you mean flow\? There are: flow, id, ts"
    ):
        getattr(source, call)(None, 1)


def test_a_column_that_vanishes_is_told(opened, plant):
    fill(plant)
    source = opened()
    mark = source.fetch(None, 1).watermark
    plant.execute("ALTER TABLE readings RENAME COLUMN ts TO at")
    with pytest.raises(SourceConfigError, match="no column 'ts'"):
        source.fetch(mark, 1)


def test_a_broken_query_is_told(opened, plant):
    fill(plant)
    with pytest.raises(SourceConfigError, match="the query fails: near"):
        opened(query="SELECT FROM WHERE").fetch(None, 1)


def test_a_query_may_hold_colons_percents_comments_and_a_semicolon(opened, plant):
    fill(plant)
    query = "SELECT * FROM readings WHERE ts LIKE '2020%' AND ':x' <> '10:30' -- all of them;"
    assert read_all(opened(query=query)) == [0, 1, 2]
    assert read_all(opened(query="SELECT * FROM readings;\n ")) == [0, 1, 2]


def test_names_may_hold_anything(opened, plant):
    plant.execute('CREATE TABLE "my readings" ("Time (s)" REAL, "a ""b"" %d :c" TEXT)')
    plant.execute("""INSERT INTO "my readings" VALUES (1.5, 'x'), (1.5, 'y'), (2, 'it''s')""")
    source = opened(table="my readings", time="Time (s)", key='a "b" %d :c')
    assert read_all(source, 1) == ["x", "y", "it's"]


def test_a_view_is_read_like_a_table(opened, plant):
    fill(plant)
    plant.execute("CREATE VIEW recent AS SELECT * FROM readings WHERE id > 0")
    assert read_all(opened(table="recent")) == [1, 2]


def test_rows_without_time_or_key_have_no_place_and_are_not_read(opened, plant):
    plant.execute("CREATE TABLE readings (ts TEXT, id TEXT)")
    plant.execute("INSERT INTO readings VALUES ('2020', 'a'), (NULL, 'b'), ('2020', NULL)")
    source = opened()
    assert read_all(source, 1) == ["a"]
    assert source.count(10) == 1


def test_a_late_row_whose_key_does_not_tell_is_out_of_reach(opened, plant):
    fill(plant, columns="ts TEXT, id TEXT, flow REAL")
    source = opened()
    mark = source.fetch(None, 10).watermark
    plant.execute("INSERT INTO readings VALUES ('2019-12-31', '9', 0)")
    assert len(source.fetch(mark, 10).table) == 0


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_entities_may_share_times_and_keys(opened, plant, limit):
    plant.execute("CREATE TABLE readings (ts TEXT, id INTEGER, pump TEXT)")
    for second in range(2):
        plant.executemany(
            "INSERT INTO readings VALUES (?, 1, ?)",
            [(f"2020-01-01 00:00:0{second}", pump) for pump in ("b", None, "a", "c")],
        )
    source = opened(entity="pump")
    pumps, mark, more = [], None, True
    while more:
        fetched = source.fetch(mark, limit)
        newest = source.newest(fetched.watermark, 1).table["pump"]
        pumps += list(fetched.table["pump"].astype(object).where(fetched.table["pump"].notna(), ""))
        assert newest.fillna("").iloc[0] == pumps[-1]
        mark, more = fetched.watermark, fetched.more
    assert pumps == ["a", "b", "c", ""] * 2


def test_times_of_several_types_are_read_in_the_databases_order(opened, plant):
    plant.execute("CREATE TABLE readings (ts, id INTEGER)")
    plant.execute("INSERT INTO readings VALUES ('2020-01-01', 1), (5, 2), ('what?', 3), (4.5, 4)")
    source = opened()
    assert read_all(source, 1) == [4, 2, 1]
    fetched = source.fetch(None, 10)
    assert fetched.watermark.event_time == datetime(2020, 1, 1, tzinfo=UTC)
    assert (fetched.watermark.record_key, fetched.waiting) == ("1", 1)


@pytest.mark.parametrize("odd", ["9999-12-31", "2099-01-01 00:00:00", "what?"])
def test_a_time_nobody_can_believe_waits_and_hides_no_later_record(opened, plant, odd):
    """Given text keys, which cannot tell a late record, And a clock that has slipped."""
    fill(plant, columns="ts TEXT, id TEXT, flow REAL")
    plant.execute("INSERT INTO readings VALUES (?, 'slipped', 0)", [odd])
    source = opened()
    first = source.fetch(None, 10)
    assert (first.table["id"].tolist(), first.waiting) == (["0", "1", "2"], 1)
    plant.execute("INSERT INTO readings VALUES ('2020-01-01 00:00:09', '9', 0)")
    then = source.fetch(first.watermark, 10)
    assert (then.table["id"].tolist(), then.waiting, then.more) == (["9"], 1, False)
    assert source.fetch(then.watermark, 10).watermark == then.watermark
    assert source.newest(None, 2).table["id"].tolist() == ["2", "9"]


def test_times_long_ago_hold_up_nothing(opened, plant):
    fill(plant)
    plant.executemany(
        "INSERT INTO readings VALUES ('0001-01-01 00:00:00', ?, 0)", [(n,) for n in range(50, 60)]
    )
    assert len(read_all(opened(), 4)) == 13


def test_identifiers_larger_than_a_float_can_tell_stay_apart(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE readings (id numeric, ts timestamptz, flow numeric)")
        for n in range(3):
            connection.execute(
                "INSERT INTO readings VALUES (%s, %s, 0.5)",
                [12345678901234567671 + n, datetime(2020, 1, 1, tzinfo=UTC)],
            )
    source = SqlTable(SqlSource(url=postgres_url, table="readings", time="ts", key="id"))
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    source.close()
    assert frame.keys.tolist() == [str(12345678901234567671 + n) for n in range(3)]
    assert frame.rejected == {}


def test_late_rows_of_entities_that_share_keys_are_read_whole(opened, plant):
    plant.execute("CREATE TABLE readings (id INTEGER, ts TEXT, who TEXT)")
    plant.execute("INSERT INTO readings VALUES (0, '2020-01-02', 'a')")
    source = opened(entity="who")
    mark = source.fetch(None, 10).watermark
    plant.executemany(
        "INSERT INTO readings VALUES (?, '2020-01-01', ?)",
        [(key, who) for key in range(1, 11) for who in "ab"],
    )
    read = []
    while len((fetched := source.fetch(mark, 5)).table):
        read += list(zip(fetched.table["id"], fetched.table["who"], strict=True))
        mark = fetched.watermark
    assert len(read) == len(set(read)) == 20


def test_naive_times_are_of_the_configured_zone(opened, plant):
    fill(plant, rows=1)
    mark = opened(timezone="Europe/Berlin").fetch(None, 1).watermark
    assert mark.event_time == datetime(2019, 12, 31, 23, tzinfo=UTC)


def test_numbers_stay_numbers_beside_missing_ones(opened, plant):
    plant.execute("CREATE TABLE readings (ts, id INTEGER, a INTEGER, b REAL, c)")
    plant.execute(f"INSERT INTO readings VALUES (1, {2**60 + 1}, 1, NULL, 'x'), (2, 3, NULL, 2, 4)")
    table = opened().fetch(None, 10).table
    assert [str(table[name].dtype) for name in "ab"] == ["float64", "float64"]
    assert list(check_frame(table, opened().roles).keys) == [str(2**60 + 1), "3"]


def test_long_reads_keep_the_types_of_short_ones(opened, plant, monkeypatch):
    monkeypatch.setattr("aemon.sources.sql.rows._ROWS_AT_ONCE", 2)
    plant.execute("CREATE TABLE readings (ts, id INTEGER, flow REAL)")
    plant.executemany(
        "INSERT INTO readings VALUES (?, ?, ?)",
        [(row, row, None if row < 2 else row) for row in range(5)],
    )
    source = opened()
    fetched = source.fetch(None, 4)
    assert str(fetched.table["flow"].dtype) == "float64"
    assert list(fetched.table["id"]) == [0, 1, 2, 3]
    assert fetched.more
    assert list(source.newest(None, 3).table["id"]) == [2, 3, 4]


def test_values_that_do_not_order_are_refused(opened, plant, monkeypatch):
    fill(plant)
    monkeypatch.setattr("aemon.sources.sql.position._KINDS", {})
    with pytest.raises(SourceConfigError, match="values of the type str cannot order records"):
        opened().fetch(None, 1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("plant.db", "not a database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("oracle9://x", "SQLAlchemy does not know 'oracle9'"),
        ("postgresql://u:hunter2@host:port/x", "not a database URL"),
    ],
)
def test_a_url_that_cannot_work_is_refused_at_once(opened, url, message):
    with pytest.raises(SourceConfigError, match=message) as caught:
        opened(url=url)
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_told_with_what_installs_it(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourceConfigError, match=r"pip install 'aemon\[postgresql\]'") as caught:
        opened(url="postgresql://u:hunter2@host/x")
    assert "hunter2" not in str(caught.value)


def test_a_refused_connection_may_work_later_and_tells_no_password(opened):
    source = opened(url="postgresql://u:hunter%402@127.0.0.1:1/x?password=hunter%402")
    with pytest.raises(SourceError, match="refused") as caught:
        source.fetch(None, 1)
    assert "hunter" not in str(caught.value) + source.describe()


def test_a_password_in_a_drivers_message_is_masked():
    address = connecting.Database("postgresql://u:hunter%402@127.0.0.1:1/x?password=b%26d")
    text = address.clean(ValueError('bad "hunter@2" or hunter%402 or b&d'))
    assert text == 'bad "***" or *** or ***'


@pytest.mark.postgresql
class TestPostgresql:
    @pytest.fixture
    def server(self, postgres_url):
        with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
            yield connection

    @pytest.mark.parametrize(
        ("columns", "rows"),
        [
            ("ts timestamptz, id bigint", [("2020-01-01 00:00:00.000001+02", 2**60 + 1)] * 1),
            ("ts timestamp, id integer", [("2020-01-01 00:00:00.000001", 1)]),
            ("ts text, id text", [("2020-01-01T00:00:00Z", "a"), ("2020-01-01T00:00:00Z", "ä")]),
            ("ts bigint, id uuid", [(1577836800000, uuid.UUID(int=i)) for i in range(3)]),
            ("ts numeric, id numeric", [("1577836800.5", "1.0"), ("1577836800.5", "1.5")]),
            ("ts float8, id varchar(9)", [(1577836800.5, "x"), (1577836800.1, "y")]),
            ("ts date, id smallint", [("2020-01-01", 1), ("2020-01-01", 2), ("2020-01-02", 0)]),
        ],
    )
    def test_times_and_keys_of_every_type_are_compared_as_the_server_does(
        self, opened, server, postgres_url, columns, rows
    ):
        server.execute(f"CREATE TABLE readings ({columns})")
        with server.cursor() as cursor:
            cursor.executemany("INSERT INTO readings VALUES (%s, %s)", rows)
        source = opened(url=postgres_url)
        server.execute("SELECT 1")
        mark, keys = None, []
        for _ in rows:
            fetched = source.fetch(mark, 1)
            keys += list(check_frame(fetched.table, source.roles).keys)
            mark = fetched.watermark
            assert mark.event_time.year in {2019, 2020}
        assert len(set(keys)) == len(rows)
        assert len(source.fetch(mark, 1).table) == 0
        assert len(source.newest(mark, 10).table) == len(rows)

    def test_the_zone_of_the_session_does_not_matter(self, opened, server, postgres_url):
        server.execute("CREATE TABLE readings (ts timestamptz, id int)")
        server.execute(
            "INSERT INTO readings SELECT now() + i * '1h'::interval, i FROM generate_series(1, 4) i"
        )
        name = server.info.dbname
        server.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
        source = opened(url=postgres_url)
        mark = source.fetch(None, 2).watermark
        server.execute(f"ALTER DATABASE {name} SET timezone = 'America/Caracas'")
        assert list(opened(url=postgres_url).fetch(mark, 9).table["id"]) == [3, 4]

    def test_another_schema_is_named_before_the_table(self, opened, server, postgres_url):
        server.execute("CREATE SCHEMA plant")
        server.execute('CREATE TABLE plant."Readings" (ts int, id int)')
        source = opened(url=postgres_url, table="plant.Readings")
        assert source.count(1) == 0
        with pytest.raises(SourceConfigError, match=r"did you mean Readings\?"):
            opened(url=postgres_url, table="plant.readings").fetch(None, 1)

    def test_a_query_may_cast(self, opened, server, postgres_url):
        server.execute("CREATE TABLE readings (ts int, id int)")
        server.execute("INSERT INTO readings VALUES (1, 1)")
        query = "SELECT ts::float8 AS ts, id, '5%' AS share FROM readings"
        assert list(opened(url=postgres_url, query=query).fetch(None, 1).table["share"]) == ["5%"]

    def test_a_missing_database_is_told(self, opened, postgres_url):
        with pytest.raises(SourceConfigError, match='database "nowhere" does not exist'):
            opened(url=postgres_url.rpartition("/")[0] + "/nowhere").fetch(None, 1)

    def test_a_broken_query_is_told(self, opened, postgres_url):
        with pytest.raises(SourceConfigError, match="the query fails: syntax error"):
            opened(url=postgres_url, query="SELECT FROM WHERE").fetch(None, 1)

    def test_a_connection_that_the_server_dropped_is_made_anew(self, opened, server, postgres_url):
        server.execute("CREATE TABLE readings (ts int, id int)")
        source = opened(url=postgres_url)
        source.fetch(None, 1)
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'aemon'"
        )
        assert len(source.fetch(None, 1).table) == 0

    def test_no_transaction_stays_open_between_reads(self, opened, server, postgres_url):
        server.execute("CREATE TABLE readings (ts int, id int)")
        opened(url=postgres_url).fetch(None, 1)
        states = server.execute(
            "SELECT state FROM pg_stat_activity WHERE application_name = 'aemon'"
        ).fetchall()
        assert states == [("idle",)]


def test_a_name_the_database_keeps_for_itself_is_read_like_any_other(tmp_path):
    """SQLAlchemy knows not every reserved word: `nothing` is one of SQLite's."""
    path = tmp_path / "plant.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute('CREATE TABLE "nothing" ("order" INTEGER, "when" TEXT, "filter" REAL)')
        connection.execute("INSERT INTO \"nothing\" VALUES (1, '2026-01-01', 0.5)")
    connection.close()
    source = SqlTable(SqlSource(url=f"sqlite:///{path}", table="nothing", time="when", key="order"))
    assert source.fetch(None, 10).table["filter"].tolist() == [0.5]
    assert source.count(10) == 1
    source.close()


def test_a_row_inserted_behind_the_watermark_is_read_by_its_new_key(plant, opened):
    plant.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, flow REAL)")
    plant.executemany(
        "INSERT INTO readings VALUES (?, ?, 0.5)",
        [(n, f"2026-01-01 00:00:{n:02}") for n in range(9)],
    )
    source = opened(table="readings")
    mark = source.fetch(None, 100).watermark
    plant.execute("INSERT INTO readings VALUES (9, '2025-12-31 00:00:00', 0.1)")
    plant.execute("INSERT INTO readings VALUES (10, '2026-01-01 00:00:20', 0.2)")
    plant.execute("INSERT INTO readings VALUES (11, '2025-12-30 00:00:00', 0.3)")
    late = source.fetch(mark, 1)
    rest = source.fetch(late.watermark, 100)
    assert (late.table["id"].tolist(), late.more) == ([9], True)
    assert late.watermark.event_time == mark.event_time
    assert rest.table["id"].tolist() == [11]
    forward = source.fetch(rest.watermark, 100)
    assert (forward.table["id"].tolist(), forward.more) == ([10], False)
    assert source.fetch(forward.watermark, 100).table.empty


def test_history_imported_in_any_order_of_keys_is_read_once(plant, opened):
    """Keys that do not grow with time are no late records as long as nothing new is inserted."""
    plant.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, flow REAL)")
    plant.executemany(
        "INSERT INTO readings VALUES (?, ?, 0.5)",
        [(50 - n, f"2026-01-01 00:00:{n:02}") for n in range(50)],
    )
    source, mark, read = opened(table="readings"), None, []
    while (fetched := source.fetch(mark, 7)).table.size:
        read += fetched.table["id"].tolist()
        mark = fetched.watermark
    assert read == list(range(50, 0, -1))


@pytest.mark.parametrize("time", ["17.11.2025 13:00", "11/17/2025 01:00 PM", "2025-11-17 01:00 PM"])
def test_text_that_does_not_sort_by_time_is_refused(plant, opened, time):
    fill(plant, rows=0)
    plant.execute("INSERT INTO readings (ts, flow) VALUES (?, 1)", (time,))
    with pytest.raises(
        SourceConfigError, match=f"'{time}' is text whose alphabetical order"
    ) as told:
        opened().fetch(None, 10)
    assert "query: SELECT" in told.value.todo


def test_text_that_sorts_by_time_is_read(plant, opened):
    fill(plant, rows=0)
    for time in ("2025/11/17 13:00", "2025-11-17 14:00:00 UTC", "2025-11-17 24:00:00"):
        plant.execute("INSERT INTO readings (ts, flow) VALUES (?, 1)", (time,))
    assert len(check_frame(opened().fetch(None, 10).table, opened().roles)) == 3


def test_digits_and_days_are_read_as_numbers(plant, opened):
    fill(plant, rows=0, columns="ts INTEGER, id INTEGER PRIMARY KEY, flow REAL")
    plant.execute("INSERT INTO readings (ts, flow) VALUES (202511171300, 1)")
    source = opened(time_format="%Y%m%d%H%M")
    frame = check_frame(source.fetch(None, 10).table, source.roles)
    assert str(frame.times[0]) == "2025-11-17T13:00:00.000000"


def test_a_day_beside_its_time_of_day_is_refused(plant, opened):
    plant.execute("CREATE TABLE readings (day TEXT, clock TEXT, id INTEGER PRIMARY KEY, flow REAL)")
    for hour in range(3):
        plant.execute(
            "INSERT INTO readings (day, clock) VALUES ('2025-11-17', ?)", (f"1{hour}:00",)
        )
    with pytest.raises(SourceConfigError, match="'clock'") as told:
        opened(time="day").fetch(None, 10)
    assert told.value.todo == "write time: [day, clock]"


def insert(plant, *rows):
    plant.executemany("INSERT INTO readings (id, ts, flow) VALUES (?, ?, 1)", rows)


def at(second):
    return f"2026-01-01 00:{second // 60:02}:{second % 60:02}"


@pytest.fixture
def numbered(plant):
    """Forty rows, one a second, with ids from 1 on."""
    plant.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, flow REAL)")
    insert(plant, *((number, at(number)) for number in range(1, 41)))


def news(source, mark):
    """The keys that one look finds, and where it ends."""
    found = []
    while True:
        fetched = source.fetch(mark, 100)
        if fetched.watermark == mark:
            return found, mark
        found += fetched.table["id"].tolist()
        mark = fetched.watermark


@pytest.mark.parametrize("time", [41, 43, 50])
def test_a_key_missing_below_the_newest_is_read_when_it_comes(plant, opened, numbered, time):
    """Given a transaction that took its key first and commits last."""
    source = opened()
    mark = source.fetch(None, 100).watermark
    insert(plant, (43, at(43)), (46, at(46)))
    found, mark = news(source, mark)
    insert(plant, (42, at(time)))
    late, mark = news(source, mark)
    insert(plant, (41, at(43)), (45, at(43)), (47, at(51)))
    assert (found, late) == ([43, 46], [42])
    assert sorted(news(source, mark)[0]) == [41, 45, 47]


def test_a_key_that_stays_missing_is_given_up_counted_and_told(plant, tmp_path, numbered):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    source = SqlTable(
        SqlSource(url=f"sqlite:///{tmp_path}/plant.db", table="readings", time="ts", key="id"),
        clock=lambda: now[0],
    )
    mark = source.fetch(None, 100).watermark
    insert(plant, (42, at(42)))
    _, mark = news(source, mark)
    assert "missing" in mark.position
    now[0] += timedelta(minutes=11)
    insert(plant, (43, at(43)))
    given_up = source.fetch(mark, 100)
    assert given_up.given_up == 1
    assert given_up.warnings == (
        "1 key missing below the newest id did not appear within 10m; given up",
    )
    assert "missing" not in given_up.watermark.position
    # A wide gap is a sequence that was set on: nothing is missed
    insert(plant, (90_000, at(90)), (90_005, at(95)))
    _, mark = news(source, given_up.watermark)
    now[0] += timedelta(minutes=11)
    insert(plant, (90_006, at(96)))
    fetched = source.fetch(mark, 100)
    assert (fetched.given_up, keys_given_up(fetched.watermark)) == (4, 5)
    assert source.fetch(fetched.watermark, 100).given_up == 0


def test_a_table_loaded_anew_is_known_by_its_times(plant, opened, numbered):
    source = opened()
    mark = source.fetch(None, 100).watermark
    plant.execute("DELETE FROM readings")
    insert(plant, *((100 + number, at(number)) for number in range(1, 21)))  # half of it
    assert news(source, mark)[0] == []
    fetched = source.fetch(mark, 100)
    assert "loaded again" in fetched.warnings[0]
    insert(plant, *((100 + number, at(number)) for number in range(21, 44)))
    assert news(source, fetched.watermark)[0] == [141, 142, 143]


def test_a_table_of_names_loaded_anew_is_known_by_its_times(plant, opened):
    plant.execute("CREATE TABLE readings (id TEXT PRIMARY KEY, ts TEXT, flow REAL)")
    insert(plant, *((uuid.uuid4().hex, at(number)) for number in range(40)))
    source = opened()
    mark = source.fetch(None, 100).watermark
    assert source.hides(mark)
    plant.execute("DELETE FROM readings")
    insert(plant, *((uuid.uuid4().hex, at(number)) for number in range(40)), ("new", at(40)))
    found, mark = news(source, mark)
    assert (found, source.hides(mark)) == (["new"], True)


def test_keys_that_begin_again_are_refused(plant, opened, numbered):
    source = opened()
    mark = source.fetch(None, 100).watermark
    plant.execute("DELETE FROM readings")
    insert(plant, (1, at(100)), (2, at(101)))
    with pytest.raises(SourceConfigError, match="id has restarted: 1 comes after 40") as told:
        source.fetch(mark, 100)
    assert "a key whose values never repeat" in told.value.todo


def test_a_row_for_each_device_that_is_written_again_and_again_is_read_so(plant, opened):
    plant.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY, ts TEXT, flow REAL)")
    insert(plant, *((number, at(number)) for number in (1, 2, 3)))
    source = opened()
    mark = source.fetch(None, 100).watermark
    plant.execute("UPDATE readings SET ts = ? WHERE id = 3", (at(4),))
    plant.execute("UPDATE readings SET ts = ? WHERE id = 1", (at(5),))
    assert news(source, mark)[0] == [3, 1]


@pytest.mark.parametrize(
    ("keys", "hides"),
    [(range(40), False), (range(40, 0, -1), True), ([n * 7919 % 41 for n in range(40)], True)],
)
def test_keys_that_do_not_count_up_tell_nothing(plant, opened, keys, hides):
    plant.execute("CREATE TABLE readings (id INTEGER, ts TEXT, flow REAL)")
    insert(plant, *((key, at(number)) for number, key in enumerate(keys)))
    source = opened()
    assert source.hides(source.fetch(None, 100).watermark) is hides


def test_keys_that_entities_share_tell_nothing(plant, opened):
    plant.execute("CREATE TABLE readings (id INTEGER, ts TEXT, flow REAL, pump TEXT)")
    plant.execute(
        "INSERT INTO readings VALUES (1, '2026-01-01', 1, 'a'), (1, '2026-01-01', 1, 'b')"
    )
    source = opened(entity="pump")
    assert source.hides(source.fetch(None, 100).watermark)


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM readings WHERE token = 'hunter2' AND", "SELECT hunter FROM x WHERE t = 'hunter2",
     "SELECT * FROM nothing WHERE token = 'hunter2'", "SELECT * FROM readings WHERE 'hunter2' FROM"],
)  # fmt: skip
def test_a_failing_query_does_not_tell_its_literals(plant, opened, query):
    fill(plant)
    with pytest.raises(SourceConfigError) as told:
        opened(query=query).fetch(None, 10)
    assert "hunter2" not in str(told.value)


def test_rows_without_time_or_key_are_counted(opened, plant):
    plant.execute("CREATE TABLE readings (ts TEXT, id TEXT)")
    plant.execute(
        "INSERT INTO readings VALUES ('2020-01-01', 'a'), (NULL, 'b'), ('2020-01-01', NULL)"
    )
    (told,) = opened().fetch(None, 10).warnings
    assert told.startswith("2 rows have no ts or id")


def test_one_text_that_is_no_utf8_does_not_hide_the_others(opened, plant):
    plant.execute("CREATE TABLE readings (ts TEXT, id INTEGER PRIMARY KEY, note TEXT)")
    plant.execute("INSERT INTO readings VALUES ('2020-01-01', 1, 'ok')")
    plant.execute("INSERT INTO readings VALUES ('2020-01-02', 2, CAST(x'ff41' AS TEXT))")
    assert opened().fetch(None, 10).table["note"].tolist() == ["ok", "\ufffdA"]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize("odd", ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])
def test_a_time_that_python_cannot_hold_does_not_hide_the_others(postgres_url, opened, kind, odd):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE TABLE far (ts {kind}, id int)")
        server.execute(
            "INSERT INTO far VALUES ('2020-01-01', 1), (%s, 2), ('2020-01-02', 3)", (odd,)
        )
    source = opened(url=postgres_url, table="far")
    fetched = source.fetch(None, 10)
    frame = check_frame(fetched.table, source.roles)
    assert frame.keys.tolist() == ["1", "3"]
    assert frame.rejected.get("time_out_of_range", 0) + fetched.waiting == 1
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("INSERT INTO far VALUES ('2020-01-03', 4)")
    assert source.fetch(fetched.watermark, 10).table["id"].tolist() == [4]
