"""The queries of README and pages, on both databases, exactly as printed, over results of a real monitor."""

import re
from datetime import UTC, datetime

import pytest

from aemon.daemon.once import score_monitors
from tests.documents import PAGES, README, blocks

QUERIES = [
    query for text in (README, PAGES["sql"], PAGES["feedback"]) for query in blocks("sql", text)
]
ODD = 4711


def rows_of(store, sql: str) -> list[dict]:
    with store.reading() as connection:
        return [dict(row) for row in connection.exec_driver_sql(sql).mappings()]


def test_every_query_answers_on_both_databases(results, morning, monkeypatch):
    store, settings = results
    monkeypatch.setattr("aemon.daemon.once.utc_now", morning)
    score_monitors({"pumps": settings}, store)
    (said,) = (query for query in QUERIES if query.startswith("INSERT"))
    with store.writing() as connection:
        connection.exec_driver_sql(said)
    answers = {
        re.search(r"FROM (\w+)", query)[1] + str("JOIN" in query): rows_of(store, query)
        for query in QUERIES
        if query.startswith("SELECT")
    }
    assert len(answers) >= 7
    assert all(answers.values()), {name: len(rows) for name, rows in answers.items()}
    odd = next(row for row in answers["flagged_recordsFalse"] if row["record_key"] == str(ODD))
    assert odd["reason"]
    assert odd["top_column"] in {"flow", "pressure", "current"}
    assert float(odd["observed"]) != pytest.approx(float(odd["expected"]))
    assert [row["flow"] for row in answers["flagged_recordsTrue"] if row["id"] == ODD] == [9.0]
    assert len(answers["scoresFalse"]) == 101
    (budget,) = answers["alarm_budgetFalse"]
    assert (budget["day"], budget["records_judged"]) == ("2026-11-20", 101)
    assert budget["promised_alarms"] == pytest.approx(1.01)
    assert budget["flagged"] == len(answers["flagged_recordsFalse"])
    assert budget["budget_used"] == pytest.approx(budget["flagged"] / 1.01)
    (coverage,) = answers["coverageFalse"]
    assert (coverage["records_read"], coverage["records_scored"]) == (101, 101)
    assert coverage["records_unaccounted"] == 0
    (precision,) = answers["detector_precisionFalse"]
    assert (precision["false_alarms"], precision["confirmed"]) == (1, 0)
    assert precision["precision"] == 0
    first = [row for row in answers["top_featuresFalse"] if row["times_first"]]
    assert sum(row["times_first"] for row in first) == budget["flagged"]


def test_a_flagged_record_says_all_that_was_promised(results, morning, monkeypatch):
    store, settings = results
    monkeypatch.setattr("aemon.daemon.once.utc_now", morning)
    score_monitors({"pumps": settings}, store)
    (row,) = rows_of(store, f"SELECT * FROM flagged_records WHERE record_key = '{ODD}'")
    shares = [row[f"{place}_share"] for place in ("top", "second", "third")]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert {row[f"{place}_column"] for place in ("top", "second", "third")} == {
        "flow", "pressure", "current",
    }  # fmt: skip
    assert row["exceedance"] == pytest.approx(row["score"] / row["threshold"])
    assert (row["detector_version"], row["revision"], row["feedback"]) == (1, 1, None)
    runs = rows_of(store, f"SELECT job, records_scored FROM runs WHERE id = {row['run_id']}")
    assert [(run["job"], run["records_scored"]) for run in runs] == [("score", 101)]


def test_what_was_known_before_is_not_what_is_known_now(results, morning, monkeypatch):
    """The question of the page, asked of a record that was judged again after nine."""
    store, settings = results
    monkeypatch.setattr("aemon.daemon.once.utc_now", morning)
    score_monitors({"pumps": settings}, store)
    before = rows_of(store, next(query for query in QUERIES if "superseded_at" in query))
    monkeypatch.setattr(morning, "now", datetime(2026, 11, 20, 10, tzinfo=UTC))
    from aemon.daemon.once import score_monitors_again

    with store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE readings SET flow = 4.1 WHERE id = {ODD}")
    (report,) = score_monitors_again({"pumps": settings}, store, None)
    assert report.counts.records_revised == 1
    after = rows_of(store, next(query for query in QUERIES if "superseded_at" in query))
    assert sorted(map(str, after)) == sorted(map(str, before))
    (now,) = rows_of(
        store,
        f"SELECT revision, score FROM scores WHERE record_key = '{ODD}' AND superseded_at IS NULL",
    )
    (then,) = [row for row in after if row["record_key"] == str(ODD)]
    assert (then["revision"], now["revision"]) == (1, 2)
    assert then["score"] != now["score"]
