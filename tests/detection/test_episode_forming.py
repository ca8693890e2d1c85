"""Episodes: what hangs together is told once, what does not is told apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aemon.config.episode_settings import EpisodeSettings
from aemon.detection.episode_forming import Episodes, Flagged
from aemon.records import EpisodeState, Severity

T0 = datetime(2026, 3, 1, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)


def anomaly(number: int, exceedance: float = 2.0, *, critical: bool = False, **shares) -> Flagged:
    return Flagged(
        record_key=str(number),
        event_time=T0 + timedelta(seconds=number),
        exceedance=exceedance,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        shares=shares or {"flow": 1.0},
        signed={name: -share for name, share in (shares or {"flow": 1.0}).items()},
    )


def rules(**settings) -> Episodes:
    return Episodes(settings=EpisodeSettings(**settings), at=NOW)


def told(pattern: str, *, open_episodes=None, entities: str = "", first: int = 0, **settings):
    """Episodes of a pattern, a record a second: `x` an anomaly, `.` a calm record, `?` neither."""
    names = np.array(list(entities or "p" * len(pattern)), dtype=object)
    flagged = {row: anomaly(first + row) for row, mark in enumerate(pattern) if mark == "x"}
    calm = np.array([mark == "." for mark in pattern])
    newest = T0 + timedelta(seconds=first + len(pattern) - 1)
    return rules(**{"gap": 2, **settings}).follow(open_episodes or {}, names, flagged, calm, newest)


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
    open_episodes = {e.entity: e for e in before if e.state is EpisodeState.OPEN}
    after, _ = told(pattern[cut:], open_episodes=open_episodes, first=cut)
    kept = [e for e in before if e.state is EpisodeState.CLOSED]
    if open_episodes and not after:
        after = list(open_episodes.values())
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
    assert told("..", open_episodes={"p": episode}, entities="qq") == ([], {})
    (closed,), _ = told("...", open_episodes={"p": episode})
    assert closed.state is EpisodeState.CLOSED


def test_the_peak_the_severity_and_the_blame_are_those_of_the_whole():
    names = np.array(["p"] * 3, dtype=object)
    flagged = {
        0: anomaly(0, 2.0, flow=0.9, valve=0.1),
        1: anomaly(1, 7.0, critical=True, flow=0.2, valve=0.8),
        2: anomaly(2, 3.0, valve=0.6, speed=0.4),
    }
    (episode,), _ = rules().follow({}, names, flagged, np.zeros(3, dtype=bool))
    assert (episode.peak_exceedance, episode.peak_record_key) == (7.0, "1")
    assert episode.severity is Severity.CRITICAL
    assert episode.feature == "valve"
    assert episode.blame == pytest.approx({"flow": 1.1, "valve": 1.5, "speed": 0.4})
    assert episode.signed == pytest.approx({"flow": -1.1, "valve": -1.5, "speed": -0.4})


def test_a_late_anomaly_joins_what_it_lies_in_or_stands_alone():
    (episode,), _ = told("x.x.")
    grown = rules().joined(episode, anomaly(1, 9.0))
    assert (grown.records, grown.calm_records, grown.peak_record_key) == (3, 1, "1")
    assert (grown.started_at, grown.ended_at) == (episode.started_at, episode.ended_at)
    single = rules().alone("p", anomaly(1))
    assert (single.state, single.opened_at) == (EpisodeState.CLOSED, NOW)


@pytest.mark.parametrize("cut", range(1, 10))
def test_how_the_records_were_cut_changes_nothing_by_any_of_the_rules(cut):
    pattern = "x?..x????????x.x...x"
    settings = {"min_records": 2, "longest_gap": timedelta(seconds=6)}
    whole, _ = told(pattern, **settings)
    before, _ = told(pattern[:cut], **settings)
    open_episodes = {e.entity: e for e in before if e.state is not EpisodeState.CLOSED}
    after, _ = told(pattern[cut:], open_episodes=open_episodes, first=cut, **settings)
    kept = [e for e in before if e.state is EpisodeState.CLOSED]
    assert kept + after == whole
    assert [(e.records, e.is_reported) for e in whole] == [(2, True), (2, True), (1, False)]


def test_a_short_one_is_told_once_it_is_long_enough():
    (short,), _ = told("xx", min_records=3)
    assert (short.state, short.opened_at) == (EpisodeState.FORMING, None)
    (long,), _ = told(".x", open_episodes={"p": short}, min_records=3, first=2)
    assert (long.state, long.opened_at, long.records) == (EpisodeState.OPEN, NOW, 3)


def test_a_short_one_that_ends_was_never_told():
    (episode,), _ = told("xx...", min_records=3)
    assert (episode.state, episode.opened_at) == (EpisodeState.CLOSED, None)


def test_late_anomalies_can_make_a_short_one_long_enough_and_leave_it_closed():
    (episode,), _ = told("x.x...", min_records=3)
    grown = rules(min_records=3).joined(episode, anomaly(1))
    assert (grown.state, grown.opened_at) == (EpisodeState.CLOSED, NOW)


def test_an_acknowledged_one_goes_on_and_is_closed_the_same_way():
    (episode,), _ = told("x")
    taken_up = replace(episode, state=EpisodeState.ACKNOWLEDGED)
    (more,), _ = told("x.", open_episodes={"p": taken_up}, first=1)
    assert (more.state, more.records, more.calm_records) == (EpisodeState.ACKNOWLEDGED, 2, 1)
    (closed,), _ = told("..", open_episodes={"p": more}, first=3)
    assert closed.state is EpisodeState.CLOSED


def test_too_much_time_between_two_anomalies_parts_them():
    settings = {"longest_gap": timedelta(seconds=3)}
    assert len(told("x??x", **settings)[0]) == 1
    first, second = told("x???x", **settings)[0]
    assert (first.state, second.state) == (EpisodeState.CLOSED, EpisodeState.OPEN)


def test_an_entity_that_falls_silent_ends_its_episode_as_time_goes_on():
    (episode,), _ = told("x", longest_gap=timedelta(seconds=3))
    others = {
        "open_episodes": {"p": episode},
        "entities": "qqq",
        "longest_gap": timedelta(seconds=3),
    }
    assert told("...", first=1, **others) == ([], {})
    (closed,), _ = told("...", first=2, **others)
    assert closed.state is EpisodeState.CLOSED
