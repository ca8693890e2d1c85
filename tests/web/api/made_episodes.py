"""Rows of episodes for tests."""

from datetime import timedelta


def episode(began, number, **changes):
    """A closed episode of five minutes."""
    row = {
        "id": number, "monitor": "pumps", "entity": "p1", "state": "closed", "started_at": began,
        "ended_at": began + timedelta(minutes=5), "records": 3, "severity": "warning",
        "peak_exceedance": 2.0, "peak_record_key": "7", "feature": "flow", "blame": {"flow": 1.0},
        "calm_records": 0, "updated_at": began, "opened_at": began,
    }  # fmt: skip
    return {**row, **changes}
