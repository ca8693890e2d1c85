from dataclasses import fields

from aemon.records import OpenEpisodes
from aemon.run_report import RunCounts
from aemon.store.schema.tables import runs


def test_counts_of_two_commits_are_added():
    first = RunCounts(
        records_read=3, rejected={"no_time": 1}, exceedances=(1.5,), by_entity={"a": 1}
    )
    second = RunCounts(
        records_read=4, rejected={"no_time": 2, "no_key": 1}, exceedances=(9.0,),
        by_entity={"a": 0.5, "b": 2},
    )  # fmt: skip
    both = first + second
    assert both.records_read == 7
    assert dict(both.rejected) == {"no_time": 3, "no_key": 1}
    assert both.records_rejected == 4
    assert (both.exceedances, both.anomalies) == ((1.5, 9.0), 2)
    assert both.by_entity == {"a": 1, "b": 2}


def test_of_what_is_no_count_the_later_one_stays():
    first = RunCounts(
        largest_exceedance=3.0, episodes_open=OpenEpisodes(warning=1), unfinished=True
    )
    second = RunCounts(largest_exceedance=1.0, episodes_open=OpenEpisodes())
    both = first + second
    assert (both.largest_exceedance, both.unfinished) == (3.0, True)
    assert both.episodes_open == OpenEpisodes()
    assert (first + RunCounts()) == first


def test_neither_is_changed():
    first = RunCounts(rejected={"no_time": 1})
    _ = first + RunCounts(rejected={"no_time": 1})
    assert first == RunCounts(rejected={"no_time": 1})


def test_every_field_says_how_it_is_added():
    assert all("plus" in one.metadata for one in fields(RunCounts))


def test_every_count_of_the_ledger_is_one_of_a_run():
    """A column of `runs` that no run counts would stay at its default for ever."""
    told = {"id", "monitor", "job", "outcome", "reason", "started_at", "finished_at"}
    told |= {"detector_id", "threshold_id"}
    counted = {column.name for column in runs.columns} - told
    assert {name for name in counted if not hasattr(RunCounts, name)} == set()
