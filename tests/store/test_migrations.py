"""Every revision, forwards and backwards, with rows in every table: SQLite and PostgreSQL 15 to 18."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.tables import metadata
from aemon.store.schema.views import VIEWS
from tests.lacking import lacking
from tests.postgres import find_binaries, run_server

REVISIONS = [
    script.revision
    for script in reversed(
        list(ScriptDirectory(str(revisions.migrations_folder())).walk_revisions())
    )
]
FIRST_ROWS = {
    "monitors": [{"name": "pumps", "created_at": "2026-03-01 08:00:00.000000"}],
    "artifacts": [{"sha256": "a1", "format_version": 2, "content": b"\x00\xffweights"}],
    "detectors": [
        {
            "id": number, "monitor": "pumps", "version": number, "state": state,
            "trained_at": "2026-03-01 08:00:00.250000", "trained_from": "2026-02-01 00:00:00.000000",
            "trained_until": "2026-02-28 00:00:00.000000", "training_records": 640,
            "validation_records": 160, "calibration_records": 200, "seed": 7,
            "validation_error": 0.1 + 0.2, "settings_hash": "s", "feature_map_hash": "f",
            "data_hash": "d", "versions": '{"aemon": "0.1.0"}', "artifact_sha256": "a1",
        }
        for number, state in ((1, "retired"), (2, "active"))
    ],
    "thresholds": [
        {
            "id": 1, "detector_id": 2, "value": 2.5, "method": "conformal", "false_alarm_rate": 0.01,
            "calibration_records": 200, "created_at": "2026-03-01 08:00:00.000000",
        }
    ],
    "runs": [
        {
            "id": 41, "monitor": "pumps", "job": "score", "outcome": "ok", "reason": "it's \\ 100 %",
            "started_at": "2026-03-01 08:00:00.000000", "finished_at": "2026-03-01 08:00:01.000000",
            "records_read": 3, "records_scored": 3, "records_late": 1, "records_rejected": 0,
            "anomalies": 1, "cells_imputed": 0,
        }
    ],
    "watermarks": [
        {
            "monitor": "pumps", "event_time": "2026-03-01 08:00:03.000000", "record_key": "3",
            "position": '{"time": 3}', "source": '{"kind":"sql"}', "generation": 5,
            "updated_at": "2026-03-01 08:00:01.000000",
        }
    ],
    "history": [
        {
            "id": 9, "monitor": "pumps", "record_key": "h9",
            "event_time": "2026-03-01 08:00:00.000000", "record": '{"flow": 1.5, "valve": null}',
        }
    ],
    "scores": [
        {
            "monitor": "pumps", "entity": "p1", "record_key": key, "revision": 1, "event_time": time,
            "scored_at": "2026-03-01 08:00:01.000000", "score": score, "p_value": p,
            "exceedance": score, "verdict": verdict, "detector_id": 2, "threshold_id": 1,
            "late": late, "imputed_share": 0.0,
        }
        for key, time, score, p, verdict, late in (
            ("1", "2026-03-01 08:00:01.000000", 5e-324, 0.5, "normal", False),
            ("2", "1983-02-28 23:59:59.999999", None, None, "absent", True),
            ("ünï\tkey", "2026-04-01 00:00:00.000000", 9.75, 1e-12, "anomaly", False),
        )
    ],
    "anomalies": [
        {
            "monitor": "pumps", "entity": "p1", "record_key": "ünï\tkey", "revision": 1,
            "event_time": "2026-04-01 00:00:00.000000", "severity": "critical", "reason": "flow 1",
            "observed": '{"flow": 1.0}', "reconstructed": '{"flow": 5.0}',
        }
    ],
    "contributions": [
        {
            "monitor": "pumps", "entity": "p1", "record_key": "ünï\tkey", "revision": 1,
            "rank": rank, "feature": f"c{rank}", "observed": observed, "reconstructed": 5.0,
            "observed_text": "1", "reconstructed_text": None, "error": 4.0, "share": 0.5,
        }
        for rank, observed in ((1, 1.0), (2, None))
    ],
}  # fmt: skip


def version_of(binaries: Path) -> str:
    told = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return re.search(r"(\d+)\.", told)[1]


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        *(pytest.param(major, marks=pytest.mark.postgresql) for major in ("15", "16", "18")),
    ],
)
def server(request):
    """None for SQLite, else the maintenance database of a server of that version."""
    if request.param == "sqlite":
        yield None
        return
    there = {version_of(binaries): binaries for binaries in find_binaries()}
    if request.param not in there:
        lacking(f"PostgreSQL {request.param}")
    with run_server(there[request.param]) as url:
        yield url


@pytest.fixture
def engine(server, tmp_path):
    """An empty database."""
    if server is None:
        engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
        yield engine
        engine.dispose()
        return
    name = re.sub(r"\W", "_", tmp_path.name)[-40:].lower()
    keeper = open_engine(server)
    with keeper.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    engine = open_engine(server.rpartition("/")[0] + f"/{name}")
    yield engine
    engine.dispose()
    keeper.dispose()


def go(engine, revision: str, *, back: bool = False) -> None:
    with engine.begin() as connection:
        move = command.downgrade if back else command.upgrade
        move(revisions._alembic(connection), revision)


def insert_first_rows(engine) -> None:
    with engine.begin() as connection:
        for table, rows in FIRST_ROWS.items():
            marks = ", ".join(
                f"CAST(:{name} AS jsonb)" if is_json(engine, table, name) else f":{name}"
                for name in rows[0]
            )
            statement = f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({marks})"
            connection.execute(sa.text(statement), rows)


def is_json(engine, table: str, name: str) -> bool:
    named = name in {"versions", "record"} or (table, name) in {
        ("anomalies", "observed"),
        ("anomalies", "reconstructed"),
    }
    return named and engine.dialect.name == "postgresql"


def rows_of(engine, table: str) -> list[dict]:
    """The rows as they were put in, by the columns there were at first."""
    names = list(FIRST_ROWS[table][0])
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {', '.join(names)} FROM {table}")).mappings()
        return [
            {
                name: f"{value.astimezone(__import__('datetime').UTC):%Y-%m-%d %H:%M:%S.%f}"
                if hasattr(value, "astimezone")
                else json.dumps(value)
                if isinstance(value, dict)
                else bytes(value)
                if isinstance(value, memoryview)
                else value
                for name, value in row.items()
            }
            for row in found
        ]


def assert_as_first(engine) -> None:
    for table, rows in FIRST_ROWS.items():
        key = lambda row: str(sorted(map(str, row.items())))  # noqa: E731 -- any order will do
        assert sorted(rows_of(engine, table), key=key) == sorted(rows, key=key), table


def test_rows_go_through_every_revision_and_back(engine):
    assert len(REVISIONS) >= 3
    go(engine, REVISIONS[0])
    insert_first_rows(engine)
    for revision in REVISIONS[1:]:
        go(engine, revision)
        assert_as_first(engine)
    assert revisions.check(engine) == []
    for revision in reversed(REVISIONS[:-1]):
        go(engine, revision, back=True)
        assert_as_first(engine)
    go(engine, "head")
    assert_as_first(engine)
    go(engine, "base", back=True)
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version"}
    assert sa.inspect(engine).get_view_names() == []


def test_alembic_check_finds_that_tables_and_migrations_meet(engine):
    revisions.prepare(engine)
    with engine.begin() as connection:
        command.check(revisions._alembic(connection))


def test_new_rows_are_numbered_after_those_that_were_carried_over(engine):
    go(engine, REVISIONS[0])
    insert_first_rows(engine)
    revisions.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO history (monitor, record_key, event_time, record)"
                " VALUES ('pumps', 'new', '2026-03-01 08:00:00.000000', '{}')"
            )
        )
        newest = connection.execute(sa.text("SELECT max(id) FROM history")).scalar()
    assert newest > FIRST_ROWS["history"][0]["id"]


def insert_kept(engine, rows) -> None:
    """Rows of the inbox, as (id, key), or as (id, entity, key) where it knows entities."""
    names = ["id", "entity", "record_key"] if len(rows[0]) == 3 else ["id", "record_key"]
    with engine.begin() as connection:
        for row in rows:
            connection.execute(
                sa.text(
                    f"INSERT INTO history (monitor, event_time, record, {', '.join(names)})"
                    f" VALUES ('pumps', '2026-03-01 08:00:00.000000', '{{}}', "
                    + ", ".join(f":{name}" for name in names)
                    + ")"
                ),
                dict(zip(names, row, strict=True)),
            )


def kept(engine, columns: str) -> list[tuple]:
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {columns} FROM history ORDER BY id"))
        return [tuple(row) for row in found]


def add_pumps(engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO monitors VALUES ('pumps', '2026-03-01 08:00:00.000000')")
        )


def test_an_inbox_of_0005_keeps_its_records_as_those_of_no_entity(engine):
    go(engine, "0005")
    add_pumps(engine)
    insert_kept(engine, [(3, "a"), (7, "b")])
    go(engine, "0006")
    assert kept(engine, "id, entity, record_key") == [(3, "", "a"), (7, "", "b")]
    # Then a key may be used again by an entity, and by no other record of the same one
    insert_kept(engine, [(8, "north", "a")])
    with pytest.raises(sa.exc.IntegrityError):
        insert_kept(engine, [(9, "north", "a")])


def test_on_the_way_back_idle_records_are_absent(engine):
    go(engine, REVISIONS[0])
    insert_first_rows(engine)
    go(engine, "head")
    idle = "UPDATE scores SET verdict = 'idle' WHERE record_key = '1'"
    counted = "SELECT sum(records_idle) FROM coverage_by_event_day"
    with engine.begin() as connection:
        connection.execute(sa.text(idle))
        connection.execute(sa.text("UPDATE runs SET records_idle = 3"))
        assert connection.execute(sa.text(counted)).scalar_one() == 1
        judged = sa.text("SELECT records_judged FROM alarms_by_event_day ORDER BY event_day")
        assert [*connection.execute(judged).scalars()] == [0, 0, 1]
    go(engine, "0008", back=True)
    with engine.begin() as connection:
        verdict = sa.text("SELECT verdict FROM scores WHERE record_key = '1'")
        assert connection.execute(verdict).scalar_one() == "absent"
        assert connection.execute(sa.text("SELECT records_absent FROM runs")).scalar_one() == 3
        absent = sa.text(counted.replace("idle", "absent"))
        assert connection.execute(absent).scalar_one() == 2


def test_on_the_way_back_entities_become_part_of_the_keys(engine):
    go(engine, "0006")
    add_pumps(engine)
    insert_kept(
        engine,
        [(1, "", "a"), (2, "north", "a"), (3, "south", "a"), (4, "", "b"), (5, "", "north/a")],
    )
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO rejected_records (monitor, received_at, reason, record)"
                " VALUES ('pumps', '2026-03-01 08:00:00.000000', 'no_key', '{}')"
            )
        )
    go(engine, "0005", back=True)
    # Where a key is taken then, the newer record stays
    expected = [(1, "a"), (3, "south/a"), (4, "b"), (5, "north/a")]
    assert kept(engine, "id, record_key") == expected
    assert "rejected_records" not in sa.inspect(engine).get_table_names()
    insert_kept(engine, [(6, "c")])
    with pytest.raises(sa.exc.IntegrityError):
        insert_kept(engine, [(7, "c")])
    go(engine, "head")
    assert revisions.check(engine) == []


def test_what_retention_removed_does_not_stop_the_way_back(engine):
    go(engine, REVISIONS[0])
    insert_first_rows(engine)
    revisions.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE detectors SET artifact_sha256 = NULL WHERE id = 1"))
    go(engine, "0002", back=True)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT id FROM detectors ORDER BY id")).scalars().all()
        removed = sa.text("SELECT artifact_sha256 FROM detectors WHERE id = 1")
        assert connection.execute(removed).scalar() == ""
    assert rows == [1, 2]
    go(engine, "head")
    with engine.connect() as connection:
        assert connection.execute(removed).scalar() is None
        assert connection.execute(sa.text("SELECT sha256 FROM artifacts")).scalars().all() == ["a1"]


def test_the_databases_own_words_say_what_everything_is(engine):
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no comments")
    revisions.prepare(engine)
    look = sa.inspect(engine)
    for table in metadata.sorted_tables:
        assert look.get_table_comment(table.name)["text"] == table.comment
        comments = {column["name"]: column["comment"] for column in look.get_columns(table.name)}
        assert comments == {column.name: column.comment for column in table.columns}
    with engine.connect() as connection:
        for view in VIEWS:
            query = sa.text("SELECT obj_description(to_regclass(:name), 'pg_class')")
            assert connection.execute(query, {"name": view.name}).scalar() == view.comment


def test_views_are_as_the_code_has_them(engine):
    """A view changed in code alone would be another one for those who upgrade."""
    revisions.prepare(engine)
    look = sa.inspect(engine)

    def plain(text: str) -> str:
        return re.sub(r"\s+", " ", text).strip().rstrip(";")

    stored = {view.name: plain(look.get_view_definition(view.name)) for view in VIEWS}
    with engine.begin() as connection:
        for view in VIEWS:
            connection.execute(sa.text(f"DROP VIEW {view.name}"))
            connection.execute(sa.text(view.create(engine.dialect.name)))
    look = sa.inspect(engine)
    for view in VIEWS:
        assert plain(look.get_view_definition(view.name)) == stored[view.name], view.name


def test_scores_lie_in_a_partition_for_each_month_and_one_for_the_rest(engine):
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no partitions")
    go(engine, REVISIONS[0])
    insert_first_rows(engine)
    revisions.upgrade(engine)
    with engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT record_key, tableoid::regclass::text FROM scores ORDER BY record_key")
        ).all()
        json_type = connection.execute(
            sa.text("SELECT pg_typeof(observed)::text FROM anomalies")
        ).scalar()
    assert [tuple(row) for row in found] == [
        ("1", "scores_2026_03"),
        ("2", "scores_other"),
        ("ünï\tkey", "scores_2026_04"),
    ]
    assert json_type == "jsonb"


def test_sqlite_is_strict_and_writes_ahead(engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL always is")
    revisions.prepare(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("PRAGMA table_list").mappings().all()
        strict = {row["name"]: row["strict"] for row in rows if row["type"] == "table"}
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert all(strict[table] == 1 for table in metadata.tables)
