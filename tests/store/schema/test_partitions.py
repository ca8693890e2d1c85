"""PostgreSQL's months of scores: made when they are needed, by one writer, without waiting long."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.records import Watermark
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.partitions import Partitions
from aemon.store.store import Mark, Store
from tests.saving import save_all

pytestmark = pytest.mark.postgresql
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def engine(postgres_url):
    engine = open_engine(postgres_url)
    revisions.prepare(engine)
    yield engine
    engine.dispose()


def make(engine, *times: str, partitions: Partitions | None = None) -> None:
    with engine.begin() as connection:
        (partitions or Partitions()).make(connection, np.array(times, "datetime64[us]"), NOW)


def there(engine) -> list[str]:
    query = (
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'scores'::regclass ORDER BY 1"
    )
    with engine.connect() as connection:
        return list(connection.execute(sa.text(query)).scalars())


def test_a_month_is_made_for_records_in_it_and_the_next_one_in_good_time(engine):
    make(engine, "2026-02-03", "2026-02-28T23:59:59.999999")
    assert there(engine) == ["scores_2026_02", "scores_2026_04", "scores_other"]


def test_times_far_off_share_a_partition(engine):
    make(engine, "1970-01-01", "2027-12-01", "2021-02-01")
    assert there(engine) == ["scores_2026_04", "scores_other"]


def test_the_end_of_a_year_is_no_end(engine):
    make(engine, "2025-12-31T23:59:59")
    with engine.connect() as connection:
        bound = connection.execute(
            sa.text(
                "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'scores_2025_12'"
            )
        ).scalar()
    assert "2026-01-01" in bound


def test_somebody_who_reads_all_scores_is_not_waited_for_long(engine):
    partitions = Partitions()
    with engine.begin() as reader:
        reader.execute(sa.text("SELECT count(*) FROM scores"))
        began = datetime.now(UTC)
        make(engine, "2026-03-01", partitions=partitions)
        assert datetime.now(UTC) - began < timedelta(seconds=8)
    assert there(engine) == ["scores_other"]
    # The next records find it free
    make(engine, "2026-03-01", partitions=partitions)
    assert there(engine) == ["scores_2026_03", "scores_2026_04", "scores_other"]


def test_a_month_whose_records_are_in_the_shared_partition_stays_there(engine):
    row = {
        "monitor": "pumps", "record_key": "1", "entity": "", "revision": 1, "event_time": NOW,
        "scored_at": NOW, "verdict": "normal", "detector_id": 1, "threshold_id": 1, "late": False,
        "imputed_share": 0.0,
    }  # fmt: skip
    from aemon.store.schema.tables import scores

    with engine.begin() as connection:
        connection.execute(sa.insert(scores), row)
    make(engine, "2026-03-01")
    assert there(engine) == ["scores_2026_04", "scores_other"]


def test_two_writers_make_the_same_month_once(engine):
    failures = []

    def work():
        try:
            make(engine, "2026-03-01", "2026-02-01", "2026-01-01")
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(there(engine)) == 5


def test_daemons_that_start_on_an_empty_database_make_it_once(postgres_url):
    failures = []

    def start():
        engine = open_engine(postgres_url)
        try:
            revisions.prepare(engine)
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    engine = open_engine(postgres_url)
    assert revisions.check(engine) == []
    engine.dispose()


def test_monitors_that_need_many_months_at_once_do_not_stand_in_each_others_way(engine):
    """Each makes months while others write: none may hold `scores` while it waits to make one."""
    from bench_store import judged

    store = Store(engine, lambda: NOW)
    names = [f"m{number}" for number in range(4)]
    store.add_monitors(names)
    failures = []

    def write(name: str) -> None:
        rng = np.random.default_rng(0)
        mark = Mark(source="here")
        try:
            for piece in range(20):
                rows = judged(piece * 50, 50, rng, "growing", 0.0)
                months = np.datetime64("2024-06-01", "us") + np.arange(50) * np.timedelta64(9, "h")
                times = months + piece * np.timedelta64(20, "D")
                rows = replace(rows, scores={**rows.scores, "event_time": times})
                to = Watermark(record_key=str(piece))
                mark = save_all(store, name, rows, mark, to).mark
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    with engine.connect() as connection:
        counts = connection.execute(
            sa.text("SELECT tableoid::regclass::text, count(*) FROM scores GROUP BY 1 ORDER BY 1")
        ).all()
    assert sum(count for _, count in counts) == 4 * 20 * 50
    assert "scores_other" not in {name for name, _ in counts}
    assert len(counts) >= 13
