"""A SQLite store that is deleted, replaced or closed to aemon: told, and nothing is pretended."""

import sqlite3

import pytest

from aemon.clock import utc_now
from aemon.errors import StoreError
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.store import Store
from tests.permissions import as_other_user, open_folder


@pytest.fixture
def store(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["pumps"])
    yield store
    store.close()


def delete(folder):
    for file in folder.glob("aemon.db*"):
        file.unlink()


def put_empty(folder):
    delete(folder)
    (folder / "aemon.db").touch()


def put_copy(folder):
    with sqlite3.connect(folder / "aemon.db") as there, sqlite3.connect(folder / "copy.db") as copy:
        there.backup(copy)
    there.close()
    copy.close()
    delete(folder)
    (folder / "copy.db").rename(folder / "aemon.db")


@pytest.mark.parametrize("replace", [delete, put_empty, put_copy])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_file_that_is_deleted_or_replaced_is_neither_written_nor_read_nor_made(
    store, tmp_path, replace, pooled
):
    replace(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    if not pooled:
        store.engine.dispose()
    with pytest.raises(StoreError, match="deleted or replaced") as told:
        store.add_monitors(["fans"])
    assert "restart aemon" in told.value.todo
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.mark("pumps")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_that_is_put_back_is_written_again(store, tmp_path):
    (tmp_path / "aemon.db").rename(tmp_path / "moved.db")
    with pytest.raises(StoreError):
        store.add_monitors(["fans"])
    (tmp_path / "moved.db").rename(tmp_path / "aemon.db")
    store.add_monitors(["fans"])
    assert store.mark("fans").generation == 0


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o755, 0o711])
def test_a_folder_that_may_not_be_entered_or_written_is_told(tmp_path, mode):
    revisions.prepare(open_engine(f"sqlite:///{tmp_path}/other.db"))  # loads what it takes
    with open_folder() as folder:
        (folder / "closed").mkdir()
        engine = open_engine(f"sqlite:///{folder}/closed/aemon.db")
        with (
            as_other_user(folder / "closed", mode),
            pytest.raises(StoreError, match="unable to open") as told,
        ):
            revisions.prepare(engine)
    assert "to enter the file's folder and to write into this folder" in told.value.todo
