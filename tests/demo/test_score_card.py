import json
from datetime import UTC, datetime, timedelta

from aemon.demo.score_card import FlaggedMoment, PlantedFault, score_card

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def after(seconds):
    return START + timedelta(seconds=seconds)


def fault(start, pump="p1", kind="leak"):
    return PlantedFault(
        kind=kind,
        pump=pump,
        started_at=after(start),
        ended_at=after(start + 5),
        columns=("pressure", "flow"),
    )


def flagged(*seconds, pump="p1"):
    return [FlaggedMoment(pump=pump, event_time=after(second)) for second in seconds]


def card(faults, records, *, newest=100, normal=1000):
    return score_card(faults, records, newest_judged=after(newest), records_judged_normal=normal)


def test_a_fault_is_flagged_by_a_record_of_its_pump_from_its_start_to_a_second_after_its_end():
    for second in (10, 12.5, 15, 16):
        result = card([fault(10)], flagged(second))
        assert (result.planted, result.flagged, result.missed, result.false_alarms) == (1, 1, 0, 0)
        assert result.faults[0].seconds_until_flagged == second - 10


def test_a_record_outside_every_fault_is_a_false_alarm():
    for records in (flagged(9.9), flagged(16.1), flagged(12, pump="p2")):
        result = card([fault(10)], records)
        assert (result.flagged, result.missed, result.false_alarms) == (0, 1, 1)
        assert result.faults[0].seconds_until_flagged is None


def test_the_first_record_tells_how_long_it_took_and_all_are_counted():
    result = card([fault(10)], flagged(14, 11.5, 12))
    assert result.faults[0].seconds_until_flagged == 1.5
    assert result.faults[0].records_flagged == 3
    assert result.flagged == 1


def test_a_fault_nobody_can_have_seen_yet_is_not_counted_nor_are_its_records():
    result = card([fault(10)], flagged(11), newest=11.9)
    assert (result.planted, result.missed, result.false_alarms) == (0, 0, 0)
    assert card([fault(10)], [], newest=12).planted == 1


def test_nothing_counts_where_nothing_was_judged():
    result = score_card([fault(10)], [], newest_judged=None, records_judged_normal=0)
    assert (result.planted, result.false_alarm_share) == (0, 0.0)


def test_the_share_of_false_alarms_is_of_all_normal_records():
    result = card([fault(10)], flagged(30, 31), normal=1998)
    assert result.false_alarm_share == 0.001


def test_a_card_becomes_json():
    result = card([fault(10), fault(19, "p2", "drop-out")], flagged(10.5))
    assert json.loads(json.dumps(result.as_dict())) == {
        "planted": 2,
        "flagged": 1,
        "missed": 1,
        "false_alarms": 0,
        "records_judged_normal": 1000,
        "false_alarm_share": 0.0,
        "faults": [
            {
                "kind": "leak",
                "pump": "p1",
                "started_at": "2026-01-02T03:04:15+00:00",
                "columns": ["pressure", "flow"],
                "seconds_until_flagged": 0.5,
                "records_flagged": 1,
            },
            {
                "kind": "drop-out",
                "pump": "p2",
                "started_at": "2026-01-02T03:04:24+00:00",
                "columns": ["pressure", "flow"],
                "seconds_until_flagged": None,
                "records_flagged": 0,
            },
        ],
    }
