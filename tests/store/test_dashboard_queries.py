"""The SQL of the dashboard over flagged records, as Grafana sends it to PostgreSQL."""

import json
import re
from pathlib import Path

import pytest

from aemon.daemon.once import score_monitors
from aemon.store.schema.tables import feedback

BOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/dashboards/aemon-records.json"
PANELS = [
    (panel["title"], target)
    for panel in json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    for target in panel["targets"]
]


def as_sent(sql: str) -> str:
    """With Grafana's macros written out, as its documentation says it does."""
    sql = sql.replace("$monitor", "'pumps','fans'")
    sql = re.sub(
        r"\$__timeFilter\(((?:[^()]|\([^()]*\))*)\)",
        r"\1 BETWEEN '2026-11-01T00:00:00Z' AND '2026-12-01T00:00:00Z'",
        sql,
    )
    sql = re.sub(
        r"\$__timeGroupAlias\((\w+), '1h'\)",
        r'floor(extract(epoch from \1)/3600)*3600 AS "time"',
        sql,
    )
    assert "$" not in sql
    return sql


@pytest.mark.postgresql
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_every_panel_has_rows(results, morning, monkeypatch):
    store, settings = results
    monkeypatch.setattr("aemon.daemon.once.utc_now", morning)
    score_monitors({"pumps": settings}, store)
    empty = []
    with store.writing() as connection:
        connection.execute(
            feedback.insert(),
            {"monitor": "pumps", "record_key": "4711", "entity": "", "verdict": "confirmed",
             "note": "", "created_at": morning()},
        )  # fmt: skip
    with store.reading() as connection:
        for title, target in PANELS:
            found = connection.exec_driver_sql(as_sent(target["rawSql"])).mappings().all()
            if not found:
                empty.append(title)
            if target["format"] == "time_series":
                assert list(found[0]) == ["time", "metric", "value"], title
    assert empty == ["Suppressed"], "nothing was suppressed"
