"""Episodes: what hangs together is told once, what does not is told apart."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aemon.detection.episodes import Flagged, alone, follow, joined
from aemon.records import EpisodeState, Severity

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def anomaly(number: int, exceedance: float = 2.0, *, critical: bool = False, **shares) -> Flagged:
    return Flagged(
        record_key=str(number),
        event_time=T0 + timedelta(seconds=number),
        exceedance=exceedance,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        shares=shares or {"flow": 1.0},
    )


def told(pattern: str, *, going_on=None, gap: int = 2, entities: str = "", first: int = 0):
    """Episodes of a pattern: `x` an anomaly, `.` a normal record, `?` an absent one."""
    names = np.array(list(entities or "p" * len(pattern)), dtype=object)
    flagged = {row: anomaly(first + row) for row, mark in enumerate(pattern) if mark == "x"}
    calm = np.array([mark == "." for mark in pattern])
    return follow(going_on or {}, names, flagged, calm, gap)


def test_adjacent_anomalies_are_one_episode_and_a_short_calm_does_not_end_it():
    (episode,), member = told("..xx.x..")
    assert (episode.records, episode.state, episode.calm_records) == (3, EpisodeState.OPEN, 2)
    assert (episode.started_at, episode.ended_at) == (
        T0 + timedelta(seconds=2), T0 + timedelta(seconds=5),
    )  # fmt: skip
    assert member == {2: 0, 3: 0, 5: 0}


def test_a_longer_calm_ends_it_and_the_next_anomaly_begins_another():
    (first, second), member = told("x...xx")
    assert (first.state, second.state) == (EpisodeState.CLOSED, EpisodeState.OPEN)
    assert (first.records, second.records) == (1, 2)
    assert member == {0: 0, 4: 1, 5: 1}


@pytest.mark.parametrize("cut", range(1, 9))
def test_how_the_records_were_cut_into_runs_changes_nothing(cut):
    pattern = "x..x...x?x"
    whole, _ = told(pattern)
    before, _ = told(pattern[:cut])
    going_on = {e.entity: e for e in before if e.state is EpisodeState.OPEN}
    after, _ = told(pattern[cut:], going_on=going_on, first=cut)
    kept = [e for e in before if e.state is EpisodeState.CLOSED]
    if going_on and not after:
        after = list(going_on.values())
    assert kept + after == whole


def test_absent_records_neither_end_an_episode_nor_go_on_with_it():
    (episode,), _ = told("x????x")
    assert episode.records == 2


def test_each_entity_has_its_own():
    changed, member = told("xx.x", entities="abab")
    assert {episode.entity: episode.records for episode in changed} == {"a": 1, "b": 2}
    assert changed[member[0]].entity == "a"
    assert changed[member[3]].entity == "b"


def test_an_episode_that_nothing_happened_to_is_not_written_again():
    (episode,), _ = told("x")
    assert told("..", going_on={"p": episode}, entities="qq") == ([], {})
    (closed,), _ = told("...", going_on={"p": episode})
    assert closed.state is EpisodeState.CLOSED


def test_the_peak_the_severity_and_the_blame_are_those_of_the_whole():
    names = np.array(["p"] * 3, dtype=object)
    flagged = {
        0: anomaly(0, 2.0, flow=0.9, valve=0.1),
        1: anomaly(1, 7.0, critical=True, flow=0.2, valve=0.8),
        2: anomaly(2, 3.0, valve=0.6, speed=0.4),
    }
    (episode,), _ = follow({}, names, flagged, np.zeros(3, dtype=bool), 2)
    assert (episode.peak_exceedance, episode.peak_record_key) == (7.0, "1")
    assert episode.severity is Severity.CRITICAL
    assert episode.feature == "valve"
    assert episode.blame == pytest.approx({"flow": 1.1, "valve": 1.5, "speed": 0.4})


def test_a_late_anomaly_joins_what_it_lies_in_or_stands_alone():
    (episode,), _ = told("x.x.")
    grown = joined(episode, anomaly(1, 9.0))
    assert (grown.records, grown.calm_records, grown.peak_record_key) == (3, 1, "1")
    assert (grown.started_at, grown.ended_at) == (episode.started_at, episode.ended_at)
    assert alone("p", anomaly(1)).state is EpisodeState.CLOSED
