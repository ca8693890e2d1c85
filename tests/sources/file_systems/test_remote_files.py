"""CSV and Parquet files by address: in memory, of this machine and over SFTP."""

import gzip
import io
import sys
from pathlib import Path
from uuid import uuid4

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from aemon.config.source_settings import identity, secrets_of
from aemon.errors import SourceConfigError, SourceError
from aemon.operations.first_config import write_config
from aemon.sources.csv.settings import CsvSource
from aemon.sources.csv.source import CsvFiles
from aemon.sources.file_systems.ranges import BLOCK_BYTES, HEAD_BYTES, RangeReader
from aemon.sources.file_systems.system import UnreachableError
from aemon.sources.parquet.settings import ParquetSource
from aemon.sources.parquet.source import ParquetFiles
from tests.sources.csv.csv_worlds import BEGIN, HEADER, Follower, content, lines
from tests.sources.file_systems.servers import PASSWORD, USER, SftpServer


class Place:
    """A folder of a file system in which files can be written; `url` is its address."""

    def __init__(self, url: str, put, append, move, remove, storage=None) -> None:
        self.url, self.storage = url, storage or {}
        self.put, self.append, self.move, self.remove = put, append, move, remove

    def follow(self, name: str = "", **settings) -> Follower:
        return Follower(f"{self.url}{name}", storage=self.storage, **settings)

    def parquet(self, name: str = "", **settings) -> ParquetFiles:
        given = {"path": f"{self.url}{name}", "time": "ts", "storage": self.storage}
        return ParquetFiles(ParquetSource(**(given | settings)))


def of_folder(url: str, folder: Path, storage=None) -> Place:
    def put(name: str, data: str | bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        new = folder / f"{name}.new"
        new.write_bytes(data.encode() if isinstance(data, str) else data)
        new.rename(folder / name)

    def append(name: str, text: str) -> None:
        with (folder / name).open("a") as file:
            file.write(text)

    return Place(
        url,
        put,
        append,
        lambda old, new: (folder / old).rename(folder / new),
        lambda name: (folder / name).unlink(),
        storage,
    )


def of_memory() -> Place:
    system, root = fsspec.filesystem("memory"), f"/{uuid4().hex}"
    system.mkdir(root)

    def append(name: str, text: str) -> None:
        system.pipe_file(f"{root}/{name}", system.cat_file(f"{root}/{name}") + text.encode())

    return Place(
        f"memory:/{root}",
        lambda name, data: system.pipe_file(
            f"{root}{'/' if name else ''}{name}", data.encode() if isinstance(data, str) else data
        ),
        append,
        lambda old, new: system.mv(f"{root}/{old}", f"{root}/{new}"),
        lambda name: system.rm(f"{root}/{name}"),
    )


@pytest.fixture
def sftp(tmp_path):
    folder = tmp_path / "served" / "exports"
    folder.mkdir(parents=True)
    server = SftpServer(tmp_path / "served")
    server.storage = {
        "username": USER,
        "password": PASSWORD,
        "known_hosts": str(server.known_hosts(tmp_path / "known_hosts")),
    }
    server.exports = folder
    server.url = f"sftp://127.0.0.1:{server.port}/exports"
    yield server
    server.close()


@pytest.fixture(params=["memory", "file", "sftp"])
def place(request, tmp_path):
    if request.param == "memory":
        return of_memory()
    if request.param == "file":
        folder = tmp_path / "exports"
        folder.mkdir()
        return of_folder(f"file://{folder}", folder)
    server = request.getfixturevalue("sftp")
    return of_folder(server.url, server.exports, server.storage)


def packed(count: int, first: int = 0) -> bytes:
    at = pd.date_range(BEGIN, periods=first + count, freq="min")[first:]
    table = pa.table({"ts": at, "flow": [float(n) for n in range(first, first + count)]})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=max(count // 3, 1))
    return out.getvalue()


def flows(source: ParquetFiles, mark=None) -> tuple[list[float], object]:
    found, more = [], True
    while more:
        fetched = source.fetch(mark, 7)
        mark, more = fetched.watermark, fetched.more
        found += fetched.table["flow"].tolist() if len(fetched.table) else []
    return found, mark


def test_a_file_that_grows_is_read_on(place):
    place.put("a.csv", content(5))
    follower = place.follow("/a.csv")
    assert follower.read() == [0, 1, 2, 3, 4]
    assert follower.read() == []
    place.append("a.csv", "\n".join([*lines(2, 5), "2026-03-01 00:"]))
    assert follower.read() == [5, 6]
    place.append("a.csv", "07:00,7,14\n")
    assert follower.read() == [7]
    assert follower.keys == [f"a.csv:{n}" for n in range(2, 10)]


def test_a_file_that_was_rotated_is_read_to_its_end_first(place):
    place.put("a.csv", content(40))
    follower = place.follow("/a.csv")
    assert len(follower.read()) == 40
    place.append("a.csv", "\n".join([*lines(2, 40), ""]))
    place.move("a.csv", "a.csv.1")
    place.put("a.csv", content(3, 42))
    assert follower.read() == [40, 41, 42, 43, 44]
    assert follower.warnings == []


def test_a_file_that_was_replaced_is_read_on_after_the_newest_record_it_holds(place):
    place.put("a.csv", content(10))
    follower = place.follow("/a.csv")
    follower.read()
    place.put("a.csv", content(8, 6))
    assert follower.read() == [10, 11, 12, 13]


def test_folders_and_patterns(place):
    place.put("b.csv", content(2, 2))
    place.put("a.csv", content(2))
    place.put("other.txt", "no table")
    place.put("deep/c.csv.gz", gzip.compress(content(2, 4).encode()))
    assert place.follow().read() == [0, 1, 2, 3]
    follower = place.follow("/**/*.csv*")
    assert follower.read() == [0, 1, 2, 3, 4, 5]
    assert follower.keys[-1] == "deep/c.csv.gz:3"
    place.put("d.csv", content(1, 6))
    assert follower.read() == [6]


def test_an_entity_by_the_name_of_its_file(place):
    place.put("pump1.csv", content(2))
    place.put("pump2.csv", content(2))
    source = place.follow(entity={"from_path": r"pump(\d+)"}).source
    assert source.fetch(None, 10).table["file:entity"].tolist() == ["1", "1", "2", "2"]


def test_files_with_a_measurement_each_are_joined(place):
    from aemon.sources.csv.opening import open_files

    place.put("flow.csv", "ts,value\n2026-03-01 00:00,1\n2026-03-01 00:01,2\n")
    place.put("level.csv", "ts,value\n2026-03-01 00:00,5\n2026-03-01 00:01,6\n")
    settings = CsvSource(path=place.url, time="ts", join="time", storage=place.storage)
    table = open_files(settings, lambda: BEGIN).fetch(None, 10).table
    assert table[["flow", "level"]].to_numpy().tolist() == [[1, 5], [2, 6]]


def test_parquet_files_of_a_folder_by_row_group(place):
    place.put("a.parquet", packed(20))
    place.put("b.parquet", packed(10, 20))
    source = place.parquet()
    found, mark = flows(source)
    assert found == [float(n) for n in range(30)]
    place.put("b.parquet", packed(15, 20))
    place.move("a.parquet", "a0.parquet")
    assert flows(source, mark)[0] == [30.0, 31.0, 32.0, 33.0, 34.0]
    assert source.newest(None, 3).table["flow"].tolist() == [32.0, 33.0, 34.0]
    assert source.count(100) == 35
    place.put("c.parquet", packed(5, 35)[:-9])
    assert any("has no footer" in told for told in source.fetch(mark, 9).warnings)
    source.close()


def test_what_is_not_there_is_named_by_its_address(place):
    with pytest.raises(SourceError, match=rf"{place.url}/a.csv: no such file or folder"):
        place.follow("/a.csv").read()
    with pytest.raises(SourceError, match="no file fits this pattern"):
        place.follow("/*.txt").read()
    place.put("a.txt", content(2))
    with pytest.raises(SourceError, match=r"holds 1 file, and none is read: a\.txt") as caught:
        place.follow().read()
    assert caught.value.todo.endswith(f"path: {place.url}/*.txt")


def test_init_looks_at_an_address():
    place = of_memory()
    place.put("a.csv", content(20))
    text = write_config(place.url)
    assert f"path: {place.url}" in text
    assert "time: ts" in text


def test_growth_alone_is_fetched_of_a_long_file(monkeypatch):
    fetched: list[int] = []
    fetch = RangeReader._fetch

    def counted(reader: RangeReader, start: int, size: int) -> bytes:
        data = fetch(reader, start, size)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(RangeReader, "_fetch", counted)
    place = of_memory()
    count = 60_000
    place.put("a.csv", "\n".join([HEADER, *lines(count), ""]))
    follower = place.follow("/a.csv")
    follower.source.fetch(None, 10)
    assert sum(fetched) < 2 * BLOCK_BYTES + 8 * HEAD_BYTES
    assert len(follower.read(100_000)) == count
    fetched.clear()
    place.append("a.csv", "\n".join([*lines(1, count), ""]))
    assert follower.read() == [count]
    assert sum(fetched) < 8 * HEAD_BYTES
    fetched.clear()
    assert follower.read() == []
    assert fetched == []


def test_just_the_bytes_of_wanted_columns_and_row_groups_are_fetched(monkeypatch):
    fetched: list[int] = []
    fetch = RangeReader._fetch
    monkeypatch.setattr(
        RangeReader,
        "_fetch",
        lambda reader, start, size: fetched.append(size) or fetch(reader, start, size),
    )
    count = 200_000
    at = pd.date_range(BEGIN, periods=count, freq="s")
    columns = {
        f"c{n}": pa.array([float((i * 7919) % 99_991) + n for i in range(count)]) for n in range(6)
    }
    out = io.BytesIO()
    pq.write_table(pa.table({"ts": at, **columns}), out, row_group_size=20_000)
    place = of_memory()
    place.put("a.parquet", out.getvalue())
    source = place.parquet("/a.parquet", columns=["c0"])
    source.fetch(None, 10)
    assert len(out.getvalue()) > 8_000_000
    assert sum(fetched) < 1_500_000


def test_a_connection_lost_within_a_parquet_file_is_no_damaged_file(monkeypatch):
    place = of_memory()
    place.put("a.parquet", packed(30))
    source = place.parquet("/a.parquet")
    mark = source.fetch(None, 2).watermark

    def lost(reader: RangeReader, _start: int, _size: int) -> bytes:
        raise reader._system.error(ConnectionResetError("connection lost"), reader._path)

    source.close()
    monkeypatch.setattr(RangeReader, "_fetch", lost)
    with pytest.raises(UnreachableError, match="connection lost"):
        source.fetch(mark, 2)


def test_links_of_a_server_are_files(sftp):
    (sftp.exports.parent / "real.csv").write_text(content(2))
    (sftp.exports / "a.csv").symlink_to("../real.csv")
    assert Follower(sftp.url, storage=sftp.storage).read() == [0, 1]


def test_a_connection_that_the_server_closed_is_made_again(sftp):
    place = of_folder(sftp.url, sftp.exports, sftp.storage)
    place.put("a.csv", content(3))
    follower = place.follow()
    assert len(follower.read()) == 3
    place.append("a.csv", "\n".join([*lines(1, 3), ""]))
    sftp.cut()
    assert follower.read() == [3]
    assert sftp.logins == 2
    follower.source.close()


def test_a_server_that_has_gone_takes_no_file_for_gone(sftp):
    place = of_folder(sftp.url, sftp.exports, sftp.storage)
    place.put("a.csv", content(3))
    follower = place.follow()
    follower.read()
    sftp.close()
    with pytest.raises(UnreachableError, match=r"cannot be reached") as caught:
        follower.read()
    assert "the next run" in caught.value.todo


def test_a_server_of_another_key_is_refused(sftp):
    storage = {name: value for name, value in sftp.storage.items() if name != "known_hosts"}
    with pytest.raises(UnreachableError, match="known_hosts") as caught:
        Follower(sftp.url, storage=storage).read()
    assert "ssh-keyscan" in caught.value.todo


@pytest.mark.parametrize("wrong", ["no-such-password", "x"])
def test_secrets_are_in_no_message_and_no_repr(sftp, wrong, caplog):
    caplog.set_level("DEBUG")
    settings = CsvSource(path=sftp.url, time="ts", storage={**sftp.storage, "password": wrong})
    with pytest.raises(
        UnreachableError, match="cannot be reached: Authentication failed"
    ) as caught:
        CsvFiles(settings).fetch(None, 1)
    told = f"{caught.value!r} {settings!r} {settings.model_dump_json()} {identity(settings)}"
    assert "no-such-password" not in told + caplog.text
    assert [secret.get_secret_value() for secret in secrets_of(settings)] == [wrong]
    assert PASSWORD not in repr(CsvSource(path=sftp.url, time="ts", storage=sftp.storage))


def test_what_a_library_says_is_shown_without_secrets(monkeypatch):
    place = of_memory()
    place.put("a.csv", content(1))
    storage = {
        "secret": "abc-123",
        "client_kwargs": {"aws_session_token": "tok-9", "verify": False},
    }
    source = CsvFiles(CsvSource(path=f"{place.url}/a.csv", time="ts", storage=storage))

    def refuse(self, *_args, **_options):
        raise RuntimeError("signed with abc-123\nand tok-9")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "info", refuse)
    with pytest.raises(UnreachableError, match=r"reached: signed with \*\*\* and \*\*\*"):
        source.fetch(None, 1)


def test_other_options_read_the_same_source():
    def of(**storage):
        return identity(CsvSource(path="s3://plant/exports", time="ts", storage=storage))

    assert of(key="a") == of(key="b") == of()
    local = CsvSource(path="a.csv", time="ts")
    assert identity(local) == identity(CsvSource(path=Path("a.csv"), time="ts"))
    assert "storage" not in identity(local)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("hdfs://host/x", "aemon does not read hdfs://; it reads s3://"),
        ("sftp://aemon:hunter2@host/x", "an address must not hold a password"),
        ("simplecache::s3://b/x", "chains with ::"),
        ("s3://b::x", "chains with ::"),
        ("s3://", "names no file or folder"),
        ("x" * 5000, "a path has at most"),
        (5, "must be a path or an address"),
    ],
)
def test_addresses_that_are_refused(path, told):
    for kind in CsvSource, ParquetSource:
        with pytest.raises(ValidationError, match=told) as caught:
            kind(path=path, time="ts")
        assert "hunter2" not in str(caught.value)


def test_storage_belongs_to_an_address():
    with pytest.raises(ValidationError, match="is only for an address"):
        CsvSource(path="exports", time="ts", storage={"key": "a"})


def test_without_a_package_the_way_out_is_named(monkeypatch):
    with pytest.raises(SourceConfigError, match="reading gs:// needs gcsfs") as caught:
        CsvFiles(CsvSource(path="gs://plant/exports", time="ts"))
    assert "pip install gcsfs" in caught.value.todo
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(SourceConfigError, match="needs fsspec, which is not installed") as caught:
        CsvFiles(CsvSource(path="s3://plant/exports", time="ts"))
    assert "pip install 'aemon[remote-files]' s3fs" in caught.value.todo


def test_options_that_a_file_system_does_not_take(sftp):
    storage = {**sftp.storage, "host_key_policy": "trust"}
    with pytest.raises(SourceConfigError, match="host_key_policy is one of") as caught:
        Follower(sftp.url, storage=storage).read()
    assert "correct `storage`" in caught.value.todo


def test_a_file_without_a_time_of_writing_is_looked_at_each_time(monkeypatch):
    place = of_memory()
    place.put("a.csv", content(2))
    kind = fsspec.get_filesystem_class("memory")
    info = kind.info
    monkeypatch.setattr(kind, "info", lambda *given: {**info(*given), "created": None})
    follower = place.follow("/a.csv")
    assert follower.read() == [0, 1]
    (state, _), *_ = follower.source._at_end.values()
    assert not state.certain
    place.append("a.csv", "\n".join([*lines(1, 2), ""]))
    assert follower.read() == [2]
