import pytest

from aemon.sources.csv.settings import CsvSource
from tests.sources.csv.csv_worlds import Follower, content, opened

TEXT = content(4).replace("pressure", "größe")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings_and_line_ends_are_found(tmp_path, encoding, ends):
    raw = TEXT.replace("\n", ends).encode(encoding)
    file = tmp_path / "plant.csv"
    file.write_bytes(raw[: len(raw) // 2])
    plant = Follower(file)
    found = plant.read()
    assert 0 < len(found) < 4
    with file.open("ab") as stream:
        stream.write(raw[len(raw) // 2 :])
    assert found + plant.read() == [0, 1, 2, 3]
    assert plant.keys == [f"plant.csv:{line}" for line in range(2, 6)]
    assert "größe" in opened(file).fetch(None, 1).table.columns


def test_a_named_encoding_is_taken(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_bytes("ts,режим\n1,пуск\n".encode("cp1251"))
    fetched = opened(file, encoding="cp1251", time="ts").fetch(None, 1)
    assert list(fetched.table["режим"]) == ["пуск"]
    assert fetched.warnings == ()


def test_lines_that_are_no_utf8_are_told_at_first_sight(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_bytes("ts,name\n1,a\n2,Müller\n".encode("cp1252"))
    source = opened(file)
    fetched = source.fetch(None, 9)
    assert list(fetched.table["name"]) == ["a", "Müller"]
    (told,) = fetched.warnings
    assert told.endswith(
        "plant.csv:3 is not UTF-8 and is read as cp1252; set another encoding with encoding: NAME"
    )
    with file.open("ab") as stream:
        stream.write("3,Möller\n".encode("cp1252"))
    assert source.fetch(fetched.watermark, 9).warnings == ()


def test_texts_that_begin_with_a_mark_may_be_put_together(tmp_path):
    file = tmp_path / "plant.csv"
    file.write_text(content(2), encoding="utf-8-sig")
    plant = Follower(file)
    plant.read()
    with file.open("ab") as stream:
        stream.write(content(2, first=2).encode("utf-8-sig"))
    assert plant.read() == [2, 3]


def test_an_encoding_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="not an encoding that Python knows"):
        CsvSource(path="a.csv", time="ts", encoding="latin-99")
