"""Entities that fall silent while others send."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aemon.detection.traffic.silence import Pauses, Senders, learn_pauses

START = np.datetime64("2026-01-01T00:00:00", "us")


def sent(seconds, entities):
    """Records at these seconds, of these entities."""
    times = START + (np.array(seconds) * 1e6).astype("timedelta64[us]")
    return times, np.array(entities, dtype=object)


def regular(first, last, names, *, every=1.0):
    """Each entity sends one after the other."""
    seconds = np.arange(first, last, every)
    return sent(seconds, [names[place % len(names)] for place in range(len(seconds))])


def after(senders, pauses, *frames):
    for times, entities in frames:
        senders = senders.after(times, entities, pauses)
    return senders


def test_an_entity_that_sends_nothing_while_others_do_is_silent():
    pauses, end = learn_pauses(*regular(0, 600, "abc"))
    assert pauses.longest == {"a": 3.0, "b": 3.0, "c": 3.0}
    now = after(end, pauses, regular(600, 609, "ab"))
    assert now.silent(pauses) == {}
    now = after(now, pauses, regular(609, 640, "ab"))
    assert now.silent(pauses) == {"c": datetime(2026, 1, 1, 0, 9, 59, tzinfo=UTC)}
    # When it sends again, it is no longer
    now = after(now, pauses, regular(640, 641, "c"))
    assert now.silent(pauses) == {}


def test_the_pause_of_all_is_nobodys():
    # Given a plant that rests every night
    days = [regular(day * 86_400, day * 86_400 + 600, "abc") for day in range(3)]
    times, entities = map(np.concatenate, zip(*days, strict=True))
    pauses, end = learn_pauses(times, entities)
    assert max(pauses.longest.values()) < 30
    # When the next day begins with one entity
    now = after(end, pauses, regular(3 * 86_400, 3 * 86_400 + 5, "a"))
    # Then no other is silent yet
    assert now.silent(pauses) == {}
    now = after(now, pauses, regular(3 * 86_400 + 5, 3 * 86_400 + 60, "a"))
    assert set(now.silent(pauses)) == {"b", "c"}


def test_a_short_training_has_not_seen_how_long_a_pause_may_be():
    pauses, end = learn_pauses(*regular(0, 600, "abc"))
    assert after(end, pauses, regular(600, 629, "ab")).silent(pauses) == {}
    longer, end = learn_pauses(*regular(0, 200_000, "abc", every=20))
    assert after(end, longer, regular(200_000, 200_260, "ab", every=20)).silent(longer) != {}
    assert (pauses.times, longer.times) == (10, 3)


def test_a_person_may_say_how_long_is_too_long():
    pauses, end = learn_pauses(*regular(0, 600, "abc"))
    now = after(end, pauses, regular(600, 660, "ab"))
    assert now.silent(pauses, timedelta(minutes=2)) == {}
    assert set(now.silent(pauses, timedelta(seconds=30))) == {"c"}


def test_of_an_entity_with_few_records_nobody_knows():
    times, entities = regular(0, 600, "ab")
    entities[:19] = "c"
    pauses, _ = learn_pauses(times, entities)
    assert set(pauses.longest) == {"a", "b"}
    assert learn_pauses(*regular(0, 600, "a")) is None
    assert learn_pauses(*regular(0, 9, "ab")) is None


def test_one_that_is_silent_as_the_training_ends_is_watched_again_once_it_sends():
    times, entities = map(
        np.concatenate, zip(regular(0, 300, "abc"), regular(300, 900, "ab"), strict=True)
    )
    pauses, end = learn_pauses(times, entities)
    assert end.silent(pauses) == {}
    assert after(end, pauses, regular(900, 960, "ab")).silent(pauses) == {}
    now = after(end, pauses, regular(900, 930, "abc"), regular(930, 990, "ab"))
    assert set(now.silent(pauses)) == {"c"}


def test_late_records_say_nothing():
    pauses, end = learn_pauses(*regular(0, 600, "abc"))
    now = after(end, pauses, regular(600, 640, "ab"), regular(500, 520, "c"))
    assert set(now.silent(pauses)) == {"c"}


@pytest.mark.parametrize("pieces", [1, 7, 40])
def test_in_pieces_and_across_restarts_it_is_the_same(pieces):
    rng = np.random.default_rng(3)
    seconds = np.cumsum(rng.exponential(200.0, 2000))
    names = rng.choice(list("abcdef"), 2000)
    names[(seconds > 300_000) & (names == "f")] = "a"
    times, entities = sent(seconds, names)
    pauses, end = learn_pauses(times[:1000], entities[:1000])
    now = end
    for rows in np.array_split(np.arange(1000, 2000), pieces):
        now = Senders.from_json(now.as_json()).after(times[rows], entities[rows], pauses)
    assert set(now.silent(pauses)) == {"f"}
    whole = after(end, pauses, (times[1000:], entities[1000:]))
    assert now.clock == pytest.approx(whole.clock, abs=1)


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "x",
        {},
        {"newest": 1, "clock": "?", "seen": {}},
        {"newest": None, "clock": 1e300, "seen": {}},
    ],
)
def test_junk_is_no_past(junk):
    assert Senders.from_json(junk) == Senders()


def test_ten_thousand_entities_are_watched():
    names = np.array([f"m{number}" for number in range(10_000)], dtype=object)
    seconds = np.arange(20 * len(names)) / 1000
    pauses, end = learn_pauses(*sent(seconds, np.tile(names, 20)))
    assert len(pauses.longest) == 10_000
    now = end
    for turn in range(20, 32):
        left = names[: len(names) - 50]
        at = turn * 10 + np.arange(len(left)) / 1000
        now = now.after(*sent(at, left), pauses)
    assert len(now.silent(pauses)) == 50
    assert Pauses.from_json(pauses.as_json()) == pauses
