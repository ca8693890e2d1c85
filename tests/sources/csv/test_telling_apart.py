import pytest

from aemon.errors import SourceConfigError
from aemon.frame import check_frame
from tests.sources.csv.csv_worlds import content, opened


def devices(folder, *, first=0):
    for n in range(3):
        (folder / f"pump{n}.csv").write_text(content(50, first=n * first, level=1000 * n))


def test_files_of_the_same_columns_and_times_are_refused(tmp_path):
    devices(tmp_path)
    with pytest.raises(SourceConfigError) as refused:
        opened(tmp_path).check_apart()
    assert "pump0.csv and pump1.csv cover the same times" in str(refused.value)
    assert "entity: {from_path: " in str(refused.value)


def test_the_names_of_files_tell_them_apart(tmp_path):
    devices(tmp_path)
    source = opened(tmp_path, entity={"from_path": r"pump(\d+)"})
    source.check_apart()
    frame = check_frame(source.fetch(None, 1000).table, source.roles)
    assert sorted(set(frame.entities)) == ["0", "1", "2"]
    assert set(frame.values.columns) == {"flow", "pressure"}
    source = opened(tmp_path, entity={"from_path": r"(.+)\.csv"})
    assert source.fetch(None, 1).table["file:entity"].tolist() == ["pump0"]


def test_a_file_whose_name_tells_no_entity_is_refused(tmp_path):
    devices(tmp_path)
    (tmp_path / "fan.csv").write_text(content(50))
    with pytest.raises(SourceConfigError, match=r"fan\.csv.*does not fit entity\.from_path"):
        opened(tmp_path, entity={"from_path": r"pump(\d+)"}).fetch(None, 1)


def test_a_renamed_file_keeps_its_entity(tmp_path):
    devices(tmp_path)
    source = opened(tmp_path / "pump*", entity={"from_path": r"pump\d"})
    mark = source.fetch(None, 1000).watermark
    (tmp_path / "pump0.csv").rename(tmp_path / "pump0.csv.1")
    with (tmp_path / "pump0.csv.1").open("a") as stream:
        stream.write("2026-03-09,1,2\n")
    table = source.fetch(mark, 10).table
    assert table["file:entity"].tolist() == ["pump0"]
    assert table["file:line"].tolist() == ["pump0.csv:52"]


@pytest.mark.parametrize("settings", [{"entity": "pump"}, {"key": "ts"}], ids=["a column", "a key"])
def test_a_column_may_tell_them_apart(tmp_path, settings):
    for n in range(2):
        text = content(50).replace("pressure", "pump")
        (tmp_path / f"{n}.csv").write_text(text)
    opened(tmp_path, **settings).check_apart()


def test_files_that_follow_each_other_are_one_source(tmp_path):
    devices(tmp_path, first=50)
    opened(tmp_path).check_apart()
    devices(tmp_path, first=40)  # the change of shifts
    opened(tmp_path).check_apart()


def test_files_with_a_part_of_every_record_are_refused(tmp_path):
    for name in ("flow", "level"):
        text = "\n".join(line.rpartition(",")[0] for line in content(50).splitlines())
        (tmp_path / f"{name}.csv").write_text(text.replace("flow", name) + "\n")
    with pytest.raises(SourceConfigError, match=r"flow\.csv and level\.csv.* no columns in common"):
        opened(tmp_path).check_apart()


def test_columns_that_change_in_the_course_of_time_are_no_parts(tmp_path):
    (tmp_path / "a.csv").write_text(content(50))
    text = content(50, first=50).replace("flow,pressure", "level,power")
    (tmp_path / "b.csv").write_text(text)
    opened(tmp_path).check_apart()


def test_long_files_are_compared_by_their_ends(tmp_path):
    for n in range(2):
        (tmp_path / f"pump{n}.csv").write_text(content(6000, first=10 * n))
    with pytest.raises(SourceConfigError, match="2026-03-05 03:59:00"):
        opened(tmp_path).check_apart()


@pytest.mark.parametrize("limit", [1, 2, 7, 60, 1000])
def test_each_entity_gets_its_share_of_what_is_read(tmp_path, limit):
    devices(tmp_path)
    source = opened(tmp_path, entity={"from_path": r"pump(\d+)"})
    fetched = source.fetch(None, limit)
    assert len(fetched.table) == min(limit, 150)
    most = fetched.table["file:entity"].value_counts()
    assert most.max() - most.min() <= 1
    keys = fetched.table["file:line"].tolist()
    while fetched.more:
        fetched = source.fetch(fetched.watermark, limit)
        keys += fetched.table["file:line"].tolist()
    assert len(keys) == len(set(keys)) == 150
    newest = source.newest(fetched.watermark, 6).table
    assert newest["file:entity"].value_counts().tolist() == [2, 2, 2]
