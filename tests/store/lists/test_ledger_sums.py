"""Sums that are kept in memory are the sums that the whole ledger gives."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.store.lists import ledger_sums
from aemon.store.lists.ledger_sums import LedgerSums
from aemon.store.queries import overview
from aemon.store.schema.tables import detectors, runs
from tests.made_results import made_detector

COUNTS = ("records_read", "records_late", "records_rejected", "anomalies", "cells_imputed")


@pytest.fixture
def run(store, clock):
    """Adds a run that starts now."""
    store.add_monitors(["fans", "belts"])
    for name in ("pumps", "fans"):
        made_detector(store, name)

    def add(monitor, scored, at=None, **changes):
        now = at or clock()
        row = {
            "monitor": monitor, "job": "score", "outcome": "ok", "reason": "", "started_at": now,
            "finished_at": now, "records_scored": scored, **dict.fromkeys(COUNTS, 0), **changes,
        }  # fmt: skip
        with store.writing() as connection:
            connection.execute(sa.insert(runs).values(row))

    return add


def test_kept_sums_follow_the_ledger_through_days(store, clock, run):
    sums = LedgerSums()
    names = ["pumps", "fans", "belts"]
    for hour in range(60):
        run("pumps", hour)
        run("fans", 2, records_absent=1, records_revised=3)
        run("belts", 7)
        run("pumps", 99, job="train")
        if hour == 30:  # the detector becomes active again
            moved = sa.update(detectors).where(detectors.c.monitor == "fans")
            with store.writing() as connection:
                connection.execute(moved.values(state_at=clock() - timedelta(hours=3)))
        if hour % 7 != 3:
            since = clock() - timedelta(days=1)
            assert overview(store, names, since, sums) == overview(store, names, since)
        if hour == 40:  # the detector becomes active between two runs that are read together
            clock.forward(timedelta(minutes=2))
            again = sa.update(detectors).where(detectors.c.monitor == "pumps")
            with store.writing() as connection:
                connection.execute(again.values(state_at=clock()))
            overview(store, names, clock() - timedelta(days=1), sums)
        clock.forward(timedelta(hours=1))
    # And a longer period than before is read anew
    since = clock() - timedelta(days=2)
    assert overview(store, names, since, sums) == overview(store, names, since)


def test_settled_rows_are_not_read_again_until_the_sums_are_renewed(store, clock, run, monkeypatch):
    sums = LedgerSums()

    def scored():
        return overview(store, ["pumps"], clock() - timedelta(days=1), sums)[0].records_scored

    assert scored() == 0
    run("pumps", 5, at=clock() - timedelta(hours=5))
    assert scored() == 0
    run("pumps", 5)
    assert scored() == 5
    monkeypatch.setattr(ledger_sums.time, "monotonic", lambda: 1e12)
    assert scored() == 10
