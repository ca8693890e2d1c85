"""What is kept of records that cannot be judged."""

import json
from datetime import UTC

import pandas as pd

from aemon.frame import Roles, check_frame
from aemon.reading.set_aside import MOST_AT_ONCE, set_aside, set_aside_as_late

ROLES = Roles(time="at", key="id", entity="pump", timezone="UTC")
TIME = "2026-03-01T10:00:00Z"


def kept(table):
    return [
        (one.reason, json.loads(one.record))
        for one in set_aside(table, ROLES, ROLES.times_of(table["at"]))
    ]


def table_of(*rows):
    return pd.DataFrame(rows, columns=["at", "id", "pump", "flow"])


def test_what_the_frame_leaves_out_is_kept_with_its_reason():
    table = table_of(
        (TIME, "1", "p1", 1.0),
        ("soon", "2", "p1", 2.0),
        (TIME, None, "p1", float("nan")),
        (TIME, "1", "p1", 4.0),
        (TIME, "1", "p2", 5.0),
    )
    assert kept(table) == [
        ("no_time", {"at": "soon", "id": "2", "pump": "p1", "flow": 2.0}),
        ("no_key", {"at": TIME, "id": None, "pump": "p1", "flow": None}),
        ("duplicate_key", {"at": TIME, "id": "1", "pump": "p1", "flow": 1.0}),
    ]
    assert sum(check_frame(table, ROLES).rejected.values()) == 3


def test_of_very_many_the_last_of_each_reason_are_kept():
    count = 3 * MOST_AT_ONCE
    found = kept(table_of(*(("soon", str(key), "p1", 1.0) for key in range(count))))
    assert [record["id"] for _, record in found] == [
        str(key) for key in range(count - MOST_AT_ONCE, count)
    ]


def test_a_record_that_comes_too_late_is_kept_under_the_names_of_its_source():
    frame = check_frame(table_of((TIME, "1", "p1", 1.0)), ROLES)
    (one,) = set_aside_as_late(frame, ROLES)
    record = json.loads(one.record)
    assert one.reason == "too_late"
    assert pd.Timestamp(record.pop("at"), tz=UTC) == pd.Timestamp(TIME)
    assert record == {"id": "1", "pump": "p1", "flow": 1.0}
