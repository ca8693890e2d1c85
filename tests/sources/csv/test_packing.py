import bz2
import gzip
import lzma
import zipfile

import pytest

from aemon.errors import SourceConfigError, SourceError
from tests.sources.csv.csv_worlds import Follower, content, opened


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_is_read_in_full_and_once(tmp_path, pack):
    (tmp_path / "plant.csv.gz").write_bytes(pack(content(5).strip().encode()))
    plant = Follower(tmp_path / "plant.csv.gz")
    assert plant.read(limit=2) == [0, 1, 2, 3, 4]
    assert plant.read() == []
    assert plant.keys[0] == "plant.csv.gz:2"


def test_a_zip_with_one_file_is_read_and_one_with_several_is_refused(tmp_path):
    zipped(tmp_path / "one.csv.zip", plant=content(3))
    assert Follower(tmp_path).read() == [0, 1, 2]
    zipped(tmp_path / "two.csv.zip", a=content(3), b=content(3))
    with pytest.raises(SourceConfigError, match=r"two\.csv\.zip.* holds 2 files .unpack"):
        opened(tmp_path / "two.csv.zip").fetch(None, 1)


def test_a_compressed_file_that_is_still_being_written_holds_up_no_other(tmp_path):
    whole = gzip.compress(content(3).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.csv").write_text(content(2, first=10))
    folder = Follower(tmp_path)
    assert folder.read() == [10, 11]
    assert "a.csv.gz: is compressed, and cannot be unpacked" in folder.warnings[0]
    (tmp_path / "a.csv.gz").write_bytes(whole)
    assert folder.read() == [0, 1, 2]


def test_alone_it_is_an_error_that_may_pass(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content(3).encode())[:-9])
    with pytest.raises(SourceError, match="still being written"):
        opened(tmp_path / "a.csv.gz").fetch(None, 1)


@pytest.mark.parametrize(
    ("begin", "told"),
    [
        (b"\x28\xb5\x2f\xfd\0\0", "zstd"),
        (b"\xd0\xcf\x11\xe0\0\0", "spreadsheet"),
        (b"PAR1\0\0", "Parquet"),
        (b"SQLite format 3\0", "database"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, begin, told):
    (tmp_path / "plant.csv").write_bytes(begin * 9)
    with pytest.raises(SourceConfigError, match=told):
        opened(tmp_path / "plant.csv").fetch(None, 1)


def test_a_spreadsheet_is_named(tmp_path):
    zipped(tmp_path / "plant.csv", **{"[Content_Types].xml": "<x/>", "xl/a.xml": "<x/>"})
    with pytest.raises(SourceConfigError, match="spreadsheet"):
        opened(tmp_path / "plant.csv").fetch(None, 1)
