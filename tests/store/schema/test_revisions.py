"""The schema: made once, met by its migrations, refused when it is another version's."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from aemon.errors import ConfigError, SchemaError, StoreError
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.tables import metadata
from aemon.store.schema.views import VIEWS


@pytest.fixture
def engine(store_url):
    engine = open_engine(store_url)
    yield engine
    engine.dispose()


def test_an_empty_store_is_made_ready_and_meets_the_tables(engine):
    assert revisions.current_revision(engine) is None
    revisions.prepare(engine)
    revisions.prepare(engine)
    assert revisions.current_revision(engine) == revisions.HEAD_REVISION
    assert revisions.check(engine) == []


def test_the_known_head_is_the_migrations_head():
    scripts = ScriptDirectory(str(revisions.migrations_folder()))
    assert scripts.get_current_head() == revisions.HEAD_REVISION


def test_the_way_back_leaves_nothing(engine):
    revisions.prepare(engine)
    with engine.begin() as connection:
        command.downgrade(revisions._alembic(connection), "base")
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version"}
    assert sa.inspect(engine).get_view_names() == []


def test_a_store_of_the_first_schema_keeps_its_rows(engine):
    # Given a store as the first release made it, with a run in its ledger
    with engine.begin() as connection:
        command.upgrade(revisions._alembic(connection), "0001")
    run(
        engine,
        "INSERT INTO monitors VALUES ('pumps', '2026-03-01 08:00:00')",
        "INSERT INTO runs VALUES (1, 'pumps', 'score', 'ok', '', '2026-03-01 08:00:00',"
        " '2026-03-01 08:00:01', 9, 8, 0, 1, 2, 0)",
    )
    # When it is brought up to date
    with pytest.raises(SchemaError, match="aemon db upgrade"):
        revisions.prepare(engine)
    revisions.upgrade(engine)
    # Then it is as expected, and the run is there with no absent records
    assert revisions.check(engine) == []
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM runs")).mappings().one()
    assert (row["records_scored"], row["records_absent"], row["anomalies"]) == (8, 0, 2)


def test_every_difference_is_a_sentence(engine):
    revisions.prepare(engine)
    statements = [
        "ALTER TABLE runs ADD COLUMN surprise INTEGER",
        *(f"DROP VIEW {view.name}" for view in VIEWS),
        "DROP TABLE contributions",
        "DROP INDEX ix_runs_monitor_job_started_at",
        "ALTER TABLE watermarks DROP COLUMN updated_at",
        "CREATE INDEX mine ON runs (outcome)",
        "CREATE TABLE another_programs (a INTEGER)",
    ]
    run(engine, *statements, "DROP TABLE history", "CREATE TABLE history (id TEXT, monitor TEXT)")
    found = revisions.check(engine)
    whole = "INTEGER" if engine.dialect.name == "sqlite" else "BIGINT"
    assert {
        "table runs: column surprise is not expected",
        "table contributions is missing",
        "table runs: index on monitor, job, started_at is missing",
        "table watermarks: column updated_at is missing",
        "table runs: index on outcome is not expected",
        "table history: column record is missing",
        f"table history: column id is TEXT, not {whole}",
        "table history: column monitor allows null, but must not",
        "table history: foreign key on monitor is missing",
        *(f"view {view.name} is missing" for view in VIEWS),
    } <= set(found)
    assert all(sentence.startswith(("table ", "view ")) for sentence in found)
    assert all(len(sentence) < 80 for sentence in found)
    assert "another_programs" not in str(found)


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_a_store_without_schema_is_not_compared_table_by_table(engine):
    with pytest.raises(SchemaError, match="has no schema yet") as raised:
        revisions.check(engine)
    assert raised.value.todo == "run `aemon db upgrade`"


def test_asking_makes_no_file(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
    assert revisions.current_revision(engine) is None
    assert list(tmp_path.iterdir()) == []
    engine.dispose()


def test_another_programs_table_of_the_same_name_is_not_taken_for_a_passing_trouble(engine):
    run(engine, "CREATE TABLE scores (a INTEGER)")
    with pytest.raises(StoreError, match="scores") as raised:
        revisions.prepare(engine)
    assert "choose another database" in raised.value.todo
    assert "try" not in raised.value.todo
    assert "tries" not in raised.value.todo


@pytest.mark.parametrize(
    ("revision", "todo"), [("0000", "install a newer aemon"), ("9999", "install a newer aemon")]
)
def test_a_store_of_another_version_is_refused_with_what_to_do(engine, revision, todo):
    revisions.prepare(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    for use in (revisions.prepare, revisions.check):
        with pytest.raises(SchemaError) as raised:
            use(engine)
        assert revision in raised.value.message
        assert raised.value.todo == todo


def test_an_older_store_is_told_to_upgrade(engine, monkeypatch):
    revisions.prepare(engine)
    monkeypatch.setattr(revisions, "HEAD_REVISION", "9998")
    with pytest.raises(SchemaError, match="aemon db upgrade"):
        revisions.prepare(engine)


def test_every_table_and_column_says_what_it_is():
    for table in metadata.sorted_tables:
        assert table.comment, table.name
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"


def test_postgresql_holds_the_comments(engine):
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no comments")
    revisions.prepare(engine)
    inspector = sa.inspect(engine)
    assert inspector.get_table_comment("scores")["text"] == metadata.tables["scores"].comment
    comments = {column["name"]: column["comment"] for column in inspector.get_columns("scores")}
    assert comments["p_value"] == metadata.tables["scores"].c.p_value.comment


def test_a_file_that_is_no_database_is_said_so(tmp_path):
    (tmp_path / "aemon.db").write_text("this is a diary, not a database; dear diary, " * 50)
    engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
    with pytest.raises(StoreError, match="not a database"):
        revisions.prepare(engine)
    engine.dispose()


def test_a_server_that_is_not_there_is_said_so_without_the_password():
    engine = open_engine("postgresql://aemon:s3cret@127.0.0.1:1/results")
    with pytest.raises(StoreError) as raised:
        revisions.prepare(engine)
    assert "127.0.0.1" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "no url s3cret",
        "mysql://user:s3cret@host/db",
        "postgresql://user:s3cret@host:port/db",
        "postgresql://user:pw@s3cret@host/db",
        "s3cret://x",
        "",
    ],
)
def test_a_store_aemon_cannot_use_is_a_config_error_without_secrets(url):
    with pytest.raises(ConfigError) as raised:
        open_engine(url)
    assert "s3cret" not in str(raised.value)
