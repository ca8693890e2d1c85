import gzip
import shutil

import pytest

from aemon.errors import SourceConfigError
from tests.sources.csv.csv_worlds import HEADER, Follower, content, lines, opened


def append(file, count, first):
    with file.open("a") as stream:
        stream.write("\n".join([*lines(count, first), ""]))


@pytest.fixture
def file(tmp_path):
    (tmp_path / "plant.csv").write_text(content(60))
    return tmp_path / "plant.csv"


@pytest.fixture
def plant(file):
    plant = Follower(file)
    assert len(plant.read()) == 60
    return plant


@pytest.mark.parametrize("limit", [3, 1000])
def test_a_window_that_moves_gives_each_record_once_and_keeps_its_number(file, plant, limit):
    for first in range(10, 60, 10):
        file.write_text(content(60, first=first))
        assert plant.read(limit) == list(range(50 + first, 60 + first))
    assert plant.keys == [f"plant.csv:{n + 2}" for n in range(110)]
    assert plant.warnings == []
    newest = plant.source.newest(plant.mark, 60).table
    assert list(newest["file:line"]) == [f"plant.csv:{n + 2}" for n in range(50, 110)]


def test_a_window_without_news_gives_nothing(file, plant):
    file.write_text(content(50, first=10))
    assert plant.read() == []
    append(file, 1, first=60)
    assert plant.read() == [60]


def test_a_last_record_that_was_completed_since_is_read_again_under_its_key(file, plant):
    text = content(60, first=5).replace(",59,118\n", ",59.5,118\n")
    file.write_text(text)
    assert plant.read() == [59.5, 60, 61, 62, 63, 64]
    assert plant.keys[59] == plant.keys[60] == "plant.csv:61"


def test_a_file_that_grows_at_its_top_is_refused(file, plant):
    newest_first = [HEADER, *reversed(lines(70)), ""]
    file.write_text("\n".join([HEADER, *reversed(lines(60)), ""]))
    top = Follower(file)
    top.read()
    file.write_text("\n".join(newest_first))
    with pytest.raises(SourceConfigError, match=r"lines were added above.*key: NAME"):
        top.read()
    file.write_text("\n".join(newest_first[:61]))  # a window, too
    with pytest.raises(SourceConfigError, match="lines were added above"):
        top.read()


def test_a_file_that_begins_before_the_newest_record_and_lacks_it_is_refused(file, plant):
    file.write_text(content(60, first=20, level=1000))
    with pytest.raises(SourceConfigError, match=r"before the newest record read.*key: NAME"):
        plant.read()
    file.write_text(content(30))
    with pytest.raises(SourceConfigError, match="before the newest record read"):
        plant.read()


def test_with_a_key_such_a_file_is_read_anew(file):
    plant = Follower(file, key="ts")
    plant.read()
    file.write_text(content(30, first=20, level=1000))
    assert len(plant.read()) == 30
    file.write_text("\n".join([HEADER, *reversed(lines(70)), ""]))
    assert len(plant.read()) == 70


def test_later_records_alone_are_read_with_a_warning(file, plant):
    file.write_text(content(20, first=100))
    assert plant.read() == list(range(100, 120))
    assert plant.keys[60] == "plant.csv#1:2"
    assert "lines that aemon had not read may be lost" in plant.warnings[0]
    assert plant.read() == []
    assert len(plant.warnings) == 1


@pytest.mark.parametrize("name", ["plant.csv.1", "plant-20260301.csv", "old.txt"])
def test_a_renamed_file_is_read_to_its_end_before_the_new_one(tmp_path, file, plant, name):
    append(file, 5, first=60)
    file.rename(tmp_path / name)
    file.write_text(content(5, first=65))
    assert plant.read(limit=3) == list(range(60, 70))
    assert plant.warnings == []
    assert plant.keys[-1] == "plant.csv#1:6"
    append(tmp_path / name, 1, first=500)  # by a writer that still holds it
    append(file, 1, first=70)
    assert plant.read() == [500, 70]
    assert len(set(plant.keys)) == len(plant.keys)
    newest = plant.source.newest(plant.mark, 8).table
    assert list(newest["flow"]) == [64, 500, 65, 66, 67, 68, 69, 70]


def test_rotation_goes_on(tmp_path, file, plant):
    for turn in range(1, 5):
        append(file, 2, first=60 + 10 * turn)
        for n in range(turn, 1, -1):
            (tmp_path / f"plant.csv.{n - 1}").rename(tmp_path / f"plant.csv.{n}")
        file.rename(tmp_path / "plant.csv.1")
        file.write_text(content(3, first=63 + 10 * turn))
        assert plant.read() == [
            60 + 10 * turn,
            61 + 10 * turn,
            *range(63 + 10 * turn, 66 + 10 * turn),
        ]
        assert plant.read() == []
    assert len(set(plant.keys)) == len(plant.keys)
    assert plant.warnings == []


def test_a_file_that_is_copied_and_truncated_is_read_to_its_end(tmp_path, file, plant):
    append(file, 5, first=60)
    shutil.copy(file, tmp_path / "plant.csv.1")
    file.write_text("")
    assert plant.read() == list(range(60, 65))
    file.write_text(content(5, first=65))
    assert plant.read() == list(range(65, 70))
    assert plant.warnings == []


def test_a_renamed_file_may_be_compressed_since(tmp_path, file, plant):
    append(file, 5, first=60)
    (tmp_path / "plant.csv.1.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.write_text(content(5, first=65))
    assert plant.read() == list(range(60, 70))


def test_a_file_renamed_within_its_folder_is_the_same_file(tmp_path, file):
    folder = Follower(tmp_path)
    folder.read()
    append(file, 5, first=60)
    file.rename(tmp_path / "2026-03-01.csv")
    assert folder.read() == list(range(60, 65))
    file.write_text(content(5, first=65))
    assert folder.read() == list(range(65, 70))
    assert folder.read() == []
    assert folder.keys[60] == "plant.csv:62"
    assert folder.keys[65] == "plant.csv#1:2"
    assert folder.warnings == []


def test_a_copy_beside_a_file_is_not_read(tmp_path, file):
    folder = Follower(tmp_path)
    folder.read()
    append(file, 5, first=60)
    shutil.copy(file, tmp_path / "plant (copy).csv")
    assert folder.read() == list(range(60, 65))
    append(file, 5, first=65)
    assert folder.read() == list(range(65, 70))
    flows = opened(tmp_path).fetch(None, 1000).table["flow"].tolist()
    assert flows == list(range(70)), "nor from the beginning"


def test_files_that_hold_all_so_far_give_what_is_new(tmp_path, file):
    folder = Follower(tmp_path)
    folder.read()
    for n in range(1, 4):
        (tmp_path / f"plant_{n}.csv").write_text(content(60 + 5 * n))
        assert folder.read() == list(range(55 + 5 * n, 60 + 5 * n))


def test_a_place_of_an_older_version_is_read_on_from(file):
    import json
    from dataclasses import replace

    plant = Follower(file)
    plant.read()
    old = {name: place[:4] for name, place in json.loads(plant.mark.position).items()}
    plant.mark = replace(plant.mark, position=json.dumps(old))
    append(file, 2, first=60)
    assert plant.read() == [60, 61]
    plant.mark = replace(plant.mark, position=json.dumps(old))
    file.write_text(content(5, first=100))
    assert plant.read() == [100, 101, 102, 103, 104]


def test_of_very_many_files_the_position_stays_small(tmp_path):
    for n in range(300):
        (tmp_path / f"{n:03}.csv").write_text(content(1, first=n))
    folder = Follower(tmp_path)
    folder.read()
    assert len(folder.mark.position) < 300 * 150
    (tmp_path / "299.csv").write_text(content(2, first=299))
    assert folder.read() == [300]
