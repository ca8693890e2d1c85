"""The demo, as a newcomer runs it."""

import json

import pytest

from tests.processes import aemon

pytestmark = pytest.mark.acceptance


def test_the_demo_learns_flags_the_planted_faults_and_ends_by_itself(tmp_path):
    done = aemon("demo", "--seconds", "90", "--json", "--folder", str(tmp_path))
    result = json.loads(done.stdout)
    assert result["first_detector_seconds"] < 60
    assert result["first_fault_flagged_seconds"] < 120
    assert result["planted"] >= 5
    assert {fault["kind"] for fault in result["faults"]} == {
        "stuck sensor", "leak", "bearing wear", "drop-out", "broken correlation",
    }  # fmt: skip
    assert result["missed"] == 0
    # Promised: 0.0005 of normal records. A short calibration and a few minutes of records
    # leave room for chance, not for ten times the promise.
    assert result["false_alarm_share"] < 0.005
