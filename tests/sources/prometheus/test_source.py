"""What a real Prometheus holds, as records."""

from datetime import timedelta

import numpy as np
import pytest

from aemon.errors import SourceConfigError, SourceError
from aemon.frame import check_frame
from aemon.records import Watermark
from aemon.sources.prometheus.records import ENTITY, KEY, TIME
from tests.prometheus import prometheus
from tests.remote_write import STALE, written_prometheus
from tests.sources.prometheus.conftest import EPOCH, STEP, Plant

NAN = float("nan")


def column(table, name):
    """The values of a column, None where they are missing."""
    return [None if np.isnan(value) else value for value in table[name].astype(float)]


def test_each_query_is_a_column_and_each_step_and_entity_a_record(plant):
    plant.write("m", [1, 2, 3], instance="a")
    plant.write("m", [11, 12, 13], instance="b")
    plant.write("n", [7, 8, STALE], instance="b")
    source = plant.source({"m": "~m", "n": "2 * ~n"}, entity="instance", history="10m")
    plant.now = EPOCH + timedelta(seconds=2 * STEP + 30)
    frame = check_frame(source.fetch(None, 100).table, source.roles)
    assert frame.entities.tolist() == ["a", "b"] * 3
    assert frame.keys.tolist()[:3] == ["2026-03-01T00:00:00Z"] * 2 + ["2026-03-01T00:00:15Z"]
    assert frame.times[-1] == np.datetime64("2026-03-01T00:00:30")
    assert column(frame.values, "m") == [1, 11, 2, 12, 3, 13]
    assert column(frame.values, "n") == [None, 14, None, 16, None, None]


def test_gaps_and_ends_of_series_are_missing_and_never_zero(plant):
    plant.write("m", [1, STALE, None, 4, NAN, 6, STALE])
    plant.write("n", [STALE] * 3 + [5, 5, STALE])
    source = plant.source({"m": "~m", "n": "~n"})
    table = source.fetch(None, 100).table
    # Of the second and third step nothing is known: they are no records. NaN is a missing cell.
    assert [key[-9:] for key in table[KEY]] == ["00:00:00Z", "00:00:45Z", "00:01:00Z", "00:01:15Z"]
    assert column(table, "m") == [1, 4, None, 6]
    assert column(table, "n") == [None, 5, 5, None]


def test_a_step_is_read_when_it_is_over_for_the_delay(plant):
    plant.write("m", range(100))
    source = plant.source({"m": "~m"}, delay="20s")
    plant.now = EPOCH + timedelta(seconds=20 + 4 * STEP - 1)
    first = source.fetch(None, 100)
    assert column(first.table, "m") == [0, 1, 2, 3]
    assert not first.more
    plant.now += timedelta(seconds=1)
    again = plant.source({"m": "~m"}, delay="20s")
    assert column(again.fetch(first.watermark, 100).table, "m") == [4]
    assert column(again.fetch(None, 100).table, "m") == [0, 1, 2, 3, 4]


def test_of_a_future_that_the_server_does_not_know_nothing_is_read(plant):
    # Given a machine whose clock is far ahead of the server's
    plant.now += timedelta(days=3650)
    plant.write("m", [1, 2, 3])
    source = plant.source({"m": "~m"}, history="1m")
    # Then the server's clock counts, and the difference is told
    fetched = source.fetch(None, 10)
    assert len(fetched.table) == 0
    assert "the clock of the server is" in fetched.warnings[0]
    assert "behind this machine's" in fetched.warnings[0]


def test_the_first_read_finds_the_oldest_records_and_history_bounds_it(plant):
    plant.write("m", range(200))
    whole = plant.source({"m": "~m"}, history="10d").fetch(None, 10)
    assert column(whole.table, "m") == list(range(10))
    bounded = plant.source({"m": "~m"}, history="20m").fetch(None, 3)
    assert bounded.table[KEY][0] == "2026-03-01T00:39:45Z"
    assert (
        plant.source({"m": "~m"}, history="10d").count(1000) == 220
    )  # the last value lingers for five minutes


def test_more_steps_than_a_query_may_have_are_read_in_pieces(plant):
    values = [None if 3000 < place < 9000 else place % 100 for place in range(25_000)]
    plant.write("m", values, step=1)
    plant.now = EPOCH + timedelta(seconds=24_999 + 30)
    source = plant.source({"m": "last_over_time(~m[1s:1s])"}, step="1s", history="10h")
    mark, read, sizes = None, [], []
    while True:
        fetched = source.fetch(mark, 7000)
        read += column(fetched.table, "m")
        sizes.append(len(fetched.table))
        mark = fetched.watermark
        if not fetched.more:
            break
    there = [value for value in values if value is not None]
    assert len(read) - len(there) <= 302  # the last value before the gap lingers for five minutes
    assert read[:3001] == there[:3001]
    assert read[-15_000:] == there[-15_000:]
    assert max(sizes) == 7000
    newest = source.newest(None, 20_000)
    assert column(newest.table, "m") == read[-20_000:] if len(read) > 20_000 else read


def test_several_series_for_one_cell_are_refused_with_what_differs(plant):
    plant.write("m", [1, 2], instance="a", job="api", zone="x")
    plant.write("m", [1, 2], instance="a", job="web", zone="x")
    with pytest.raises(SourceConfigError) as refused:
        plant.source({"flow": "~m"}, entity="instance").fetch(None, 10)
    assert (
        "query flow returns several series for one cell of a at 2026-03-01" in refused.value.message
    )
    assert (
        "job is api and web" in refused.value.message
        or "job is web and api" in refused.value.message
    )
    assert "zone" not in refused.value.message
    assert "sum by (instance) (...)" in refused.value.todo
    assert column(plant.source({"flow": "sum(~m)"}).fetch(None, 2).table, "flow") == [2, 4]


def test_series_that_follow_each_other_are_one_cell(plant):
    plant.write("m", [1, 2, STALE], version="1")
    plant.write("m", [3, 4], first=2, version="2")
    table = plant.source({"m": "~m"}).fetch(None, 4).table
    assert column(table, "m") == [1, 2, 3, 4]


def test_a_label_may_name_the_columns(plant):
    for place in ("inlet", "outlet", 'Ø "2"'):
        plant.write("m", [1, 2, 3], place=place, pump="p1")
    plant.write("m", [5, STALE], place="inlet", pump="p2")
    source = plant.source({"all": "~m"}, columns="place", entity="pump")
    table = source.fetch(None, 4).table
    assert list(table) == [TIME, KEY, ENTITY, "inlet", "outlet", 'Ø "2"']
    assert column(table, "outlet") == [1, None, 2, 3]
    assert column(table, "inlet") == [1, 5, 2, 3]


def test_a_series_without_the_label_is_refused(plant):
    plant.write("m", [1], job="api")
    with pytest.raises(SourceConfigError, match="without the label instance; its labels: job"):
        plant.source({"m": "~m"}, entity="instance").fetch(None, 10)


def test_a_wrong_query_is_named_with_what_the_server_says(plant):
    plant.write("m", [1, 2, 3])
    source = plant.source({"good": "~m", "bad": "rate(~m[1m"})
    with pytest.raises(SourceConfigError, match=r"query bad: the query fails: .*parse error"):
        source.fetch(None, 10)


def test_comments_and_plain_numbers_are_queries_like_others(plant):
    plant.write("m", [1, 2, 3])
    source = plant.source(
        {"m": "~m # of all", "limit": "40 + 2", "n": "~m * 2 # twice"}, history="5m"
    )
    plant.now = EPOCH + timedelta(seconds=2 * STEP + 30)
    table = source.fetch(None, 100).table
    assert column(table, "limit") == [42] * len(table)
    assert column(table, "m")[-3:] == [1, 2, 3]
    assert column(table, "n")[-3:] == [2, 4, 6]


def test_infinite_values_are_kept(plant):
    plant.write("m", [float("inf"), -float("inf"), 1])
    assert column(plant.source({"m": "~m"}).fetch(None, 2).table, "m") == [
        float("inf"), -float("inf")
    ]  # fmt: skip


def test_what_the_server_has_dropped_since_is_told(plant):
    plant.write("m", [1] * 3, first=200)
    long_ago = EPOCH - timedelta(days=2)
    mark = Watermark(event_time=long_ago, record_key="x", position='{"entity": ""}')
    fetched = plant.source({"m": "~m"}).fetch(mark, 2)
    assert column(fetched.table, "m") == [1, 1]
    told = "there is no data from 2026-02-27 00:00:15 to 2026-03-01 00:50:00"
    assert told in fetched.warnings[-1]
    # And a short gap is nobody's business
    near = Watermark(event_time=EPOCH + timedelta(minutes=45), record_key="x", position="{}")
    assert plant.source({"m": "~m"}).fetch(near, 2).warnings == fetched.warnings[:-1]


def test_only_positions_of_its_own_are_recognised(plant):
    source = plant.source({"m": "~m"})
    plant.write("m", [1])
    assert source.recognises(source.fetch(None, 1).watermark)
    for position in ("", "{", "[1]", '{"entity": 3}', '{"key": 4}'):
        assert not source.recognises(Watermark(record_key="x", position=position))


def test_a_server_that_reads_few_samples_is_asked_for_less_at_once(tmp_path):
    with written_prometheus(tmp_path, options=["--query.max-samples=500"]) as server:
        plant = Plant(server.url)
        for instance in "ab":
            plant.write("m", range(200), instance=instance)
        source = plant.source({"m": "~m"}, entity="instance")
        table = source.fetch(None, 10_000).table
        assert column(table[table[ENTITY] == "b"], "m")[:200] == list(range(200))
        source.close()
        costly = plant.source({"n": "sum_over_time(~n[1h])"}, history="1h")
        plant.write("n", range(2000), step=1)
        with pytest.raises(SourceConfigError, match=r"query n: .* too many samples"):
            costly.fetch(None, 100)
        costly.close()


def test_a_server_that_is_gone_comes_back(tmp_path):
    with written_prometheus(tmp_path) as server:
        plant = Plant(server.url)
        plant.write("m", [1, 2, 3])
        source = plant.source({"m": "~m"})
        mark = source.fetch(None, 1).watermark
    with pytest.raises(SourceError, match=r"Connection refused"):
        source.fetch(mark, 10)
    port = server.url.rpartition(":")[2]
    with prometheus(tmp_path, [], port=int(port)):
        assert column(source.fetch(mark, 2).table, "m") == [2, 3]
    source.close()


def test_memory_is_that_of_a_piece_and_not_of_the_history(plant):
    import tracemalloc

    for number in range(20):
        plant.write("m", range(500), instance=f"i{number:02}")
    plant.now = EPOCH + timedelta(seconds=500 * STEP)
    source = plant.source({"m": "~m"}, entity="instance", history="5h")
    tracemalloc.start()
    mark, count = None, 0
    while True:
        fetched = source.fetch(mark, 500)
        count, mark = count + len(fetched.table), fetched.watermark
        if not fetched.more:
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count >= 9_900
    assert peak < 10e6


def test_steps_may_be_put_into_buckets(plant):
    plant.write("flow", range(1, 21), pump="a")
    bucket = {"every": "1m", "aggregate": {"flow": "max"}, "wait": "1s"}
    source = plant.source({"flow": "~flow"}, entity="pump", bucket=bucket)
    whole = source.fetch(None, 3)
    assert whole.table["flow"].tolist()[:3] == [4, 8, 12]
    assert whole.more
    assert source.newest(whole.watermark, 2).table["flow"].tolist() == [8, 12]
