from pathlib import Path

import pytest

from aemon.config.schema import Config
from aemon.doctor.monitor_checks import unread_files
from aemon.errors import SourceError
from aemon.sources.csv.files import find_files
from tests.permissions import as_other_user, open_folder
from tests.sources.csv.csv_worlds import Follower, content, opened


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports" / "march").mkdir(parents=True)
    return tmp_path / "exports"


def write(path, first=0):
    path.write_text(content(2, first=first))


def test_endings_in_capitals_count(folder):
    write(folder / "A.CSV")
    write(folder / "b.Csv", first=2)
    assert Follower(folder).read() == [0, 1, 2, 3]


@pytest.mark.parametrize("path", ["exports/*.csv", "~/exports/*.csv", "~/exports", "exports/a?csv"])
def test_patterns_and_the_home_folder_are_understood(folder, path):
    write(folder / "a.csv")
    exports = Follower(Path(path))
    assert exports.read() == [0, 1]
    assert exports.keys == ["a.csv:2", "a.csv:3"]


def test_a_pattern_reaches_into_folders_and_to_other_endings(folder):
    write(folder / "a.txt")
    write(folder / "march" / "a.txt", first=2)
    exports = Follower(Path("exports/**/*.txt"))
    assert exports.read() == [0, 1, 2, 3]
    assert exports.keys == ["a.txt:2", "a.txt:3", "march/a.txt:2", "march/a.txt:3"]
    write(folder / "march" / "b.txt", first=4)
    assert exports.read() == [4, 5]


def test_a_name_with_the_letters_of_a_pattern_is_a_name(folder):
    write(folder / "a[1].csv")
    assert Follower(folder / "a[1].csv").read() == [0, 1]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("a.txt", "exports/*.txt"), ("march/a.csv", "exports/**/*.csv"), ("data", "exports/*")],
)
def test_a_folder_of_which_no_file_is_read_is_no_empty_folder(folder, name, pattern):
    write(folder / name)
    with pytest.raises(SourceError) as refused:
        opened(Path("exports")).fetch(None, 1)
    assert f"exports holds 1 file, and none is read: {name}" in str(refused.value)
    assert f"path: {pattern}" in str(refused.value)
    assert Follower(Path(pattern)).read() == [0, 1], "what is told helps"


def test_a_pattern_that_nothing_fits_may_be_fitted_later(folder):
    with pytest.raises(SourceError, match=r"exports/\*\.csv: no file fits this pattern"):
        opened(Path("exports/*.csv")).fetch(None, 1)


def test_hidden_files_count_for_nothing(folder):
    write(folder / ".a.txt")
    assert len(opened(folder).fetch(None, 1).table) == 0


def test_the_home_folder_is_shown_in_full(folder):
    with pytest.raises(SourceError, match=f"{folder.parent}/nowhere: no such file"):
        opened(Path("~/nowhere")).fetch(None, 1)


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o711])
def test_a_closed_folder_among_others_is_told_and_the_others_are_read(mode):
    with open_folder() as base:
        for place, name in enumerate(("a", "b", "closed")):
            (base / name).mkdir()
            write(base / name / "x.csv", first=2 * place)
        source, other = opened(base / "**/*.csv"), opened(base / "[ab]/*.csv")
        assert source.fetch(None, 9).warnings == ()
        with as_other_user(base / "closed", mode):
            for fetched in (source.fetch(None, 9), source.newest(None, 9)):
                (told,) = fetched.warnings
                assert told.startswith(
                    "aemon has no permission to list or enter a folder: closed; give the user"
                )
                assert len(fetched.table) > 0
            assert other.fetch(None, 9).warnings == ()  # which does not mean it
            (found,) = unread_files(Config.model_validate({"monitors": {"pumps": {
                "source": {"kind": "csv", "path": str(base / "*/*.csv"), "time": "time"},
                "score_every": "1m",
            }}}))  # fmt: skip
            assert found.what == "pumps: aemon has no permission to list or enter closed"


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o711])
@pytest.mark.parametrize("name", ["", "a.csv", "*.csv", "**/*.csv"])
def test_a_folder_that_may_not_be_listed_or_entered_is_told_and_not_taken_for_empty(mode, name):
    with open_folder() as base:
        closed = base / "closed"
        closed.mkdir()
        write(closed / "a.csv")
        assert len(find_files(closed / name).read) == 1
        if (mode, name) == (0o711, "a.csv"):  # a file in a folder that can be entered is found
            with as_other_user(closed, mode):
                assert len(find_files(closed / name).read) == 1
            return
        with as_other_user(closed, mode), pytest.raises(SourceError) as told:
            find_files(closed / name)
    assert str(closed) in told.value.message
    assert "Permission denied" in told.value.message
    assert "give the user that aemon runs as" in told.value.todo
