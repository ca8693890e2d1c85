"""What is to be told of episodes: each event once, to whom it concerns, and nothing of old times."""

from dataclasses import replace
from datetime import timedelta
from time import monotonic

import pytest
import sqlalchemy as sa

from aemon.config.service_settings import RetentionSettings
from aemon.records import Severity
from aemon.store import delivery, outbox
from aemon.store.episode_queries import acknowledge, close
from aemon.store.outbox import CaughtUp, NotificationState, Rules
from aemon.store.retention import prune
from aemon.store.schema.tables import episodes, notifications, receivers

NAMES = {"pumps"}


@pytest.fixture
def rules(store, clock) -> Rules:
    return Rules(
        receiver="ops",
        since=delivery.known_since(store, "ops"),
        oldest=None,
        least=Severity.WARNING,
        resolved=True,
    )


@pytest.fixture
def begin(store, clock):
    """Begins an episode a second from now, opened then."""

    def begin(*, state="open", severity="warning", monitor="pumps", **more) -> int:
        clock.forward(timedelta(seconds=1))
        row = {
            "monitor": monitor, "entity": "p1", "state": state, "severity": severity,
            "started_at": clock.now, "ended_at": clock.now, "records": 3, "peak_exceedance": 2.0,
            "peak_record_key": "7", "feature": "flow", "blame": {"flow": 1.0}, "calm_records": 0,
            "updated_at": clock.now, "opened_at": clock.now, **more,
        }  # fmt: skip
        with store.writing() as connection:
            made = connection.execute(sa.insert(episodes).values(row)).inserted_primary_key
            return int(made[0])

    return begin


def change(store, number, **values) -> None:
    with store.writing() as connection:
        connection.execute(sa.update(episodes).where(episodes.c.id == number).values(values))


def planned(store, rules, names=NAMES) -> list[tuple[int, str]]:
    """(episode, event) of what waits after a look."""
    outbox.plan(store, rules, names)
    return [(one.episode_id, one.event) for one in outbox.waiting(store, rules.receiver, names)]


def tell(store, rules, severity=Severity.WARNING) -> None:
    """Send all that waits."""
    for one in outbox.waiting(store, rules.receiver, NAMES):
        assert delivery.claim(store, one, store.now())
        delivery.note_sent(store, one, severity, 200)


def test_an_episode_is_told_as_it_opens_gets_worse_and_ends(store, rules, begin):
    number = begin()
    assert planned(store, rules) == [(number, "opened")]
    assert planned(store, rules) == [(number, "opened")], "however often it is looked"
    tell(store, rules)
    assert planned(store, rules) == []
    change(store, number, severity="critical")
    assert planned(store, rules) == [(number, "escalated")]
    tell(store, rules, Severity.CRITICAL)
    assert planned(store, rules) == []
    close(store, number)
    assert planned(store, rules) == [(number, "resolved")]
    tell(store, rules, Severity.CRITICAL)
    assert planned(store, rules) == []
    told = [(one.event, one.state, one.severity) for one in delivery.listed(store)]
    assert sorted(told) == [
        ("escalated", "sent", "critical"), ("opened", "sent", "warning"),
        ("resolved", "sent", "critical"),
    ]  # fmt: skip


def test_news_is_told_in_its_order(store, rules, begin):
    """Given a receiver that was away while an episode opened, got worse and ended."""
    number = begin()
    assert planned(store, rules) == [(number, "opened")]
    change(store, number, severity="critical", state="closed")
    assert planned(store, rules) == [(number, "opened")]
    tell(store, rules, Severity.CRITICAL)
    assert planned(store, rules) == [(number, "resolved")], "that it is critical was told at once"


def test_what_was_over_before_a_receiver_came_is_not_told(store, rules, begin, clock):
    known = rules.since
    before = begin(state="closed", opened_at=known - timedelta(seconds=1))
    still_on = begin(opened_at=known - timedelta(days=30))
    taken_up = begin(state="acknowledged", opened_at=known - timedelta(days=1))
    short = begin(state="forming", opened_at=None)
    quick = begin(state="closed")
    assert planned(store, rules) == [(still_on, "opened"), (quick, "opened")]
    assert {before, taken_up, short}.isdisjoint({still_on, quick})
    clock.forward(timedelta(days=1))
    assert delivery.known_since(store, "ops") == known, "a restart makes no new receiver of it"


def test_a_backlog_is_no_news(store, rules, begin, clock):
    old = begin(ended_at=clock.now - timedelta(days=8), started_at=clock.now - timedelta(days=30))
    lately = replace(rules, oldest=clock.now - timedelta(days=7))
    assert planned(store, lately) == []
    change(store, old, ended_at=clock.now)
    assert planned(store, lately) == [(old, "opened")], "it goes on until now"


def test_an_episode_that_is_open_where_a_backlog_is_read_waits_until_all_of_it_was(
    store, rules, begin, clock
):
    """Given one whose last anomaly so far is of three hours ago."""
    at = clock.now + timedelta(seconds=1)
    number = begin(ended_at=at - timedelta(hours=3), started_at=at - timedelta(hours=4))
    reading, read = (
        replace(
            rules,
            oldest=clock.now - timedelta(days=7),
            caught_up={"pumps": CaughtUp(at=since, long_over=timedelta(hours=1))},
        )
        for since in (None, clock.now)
    )
    assert planned(store, reading) == []
    assert planned(store, read) == [(number, "opened")]


def test_who_wants_to_be_told_of_any_age_is_told_of_each_by_itself(store, rules, begin, clock):
    old = {"state": "closed", "ended_at": clock.now - timedelta(days=400)}
    numbers = [begin(**old) for _ in range(5)]
    reading = {"pumps": CaughtUp(at=None, long_over=timedelta(hours=1))}
    forever = replace(rules, oldest=None, caught_up=reading)
    delivery.plan_backlogs(store, forever, NAMES)
    assert planned(store, forever) == [(number, "opened") for number in numbers]


def test_only_what_is_severe_enough_is_told(store, rules, begin):
    critical = replace(rules, least=Severity.CRITICAL)
    number = begin()
    assert planned(store, critical) == []
    change(store, number, severity="critical")
    assert planned(store, critical) == [(number, "opened")]
    tell(store, critical, Severity.CRITICAL)
    assert planned(store, critical) == []


def test_the_end_may_be_left_out(store, rules, begin):
    short = replace(rules, resolved=False)
    number = begin()
    planned(store, short)
    tell(store, short)
    close(store, number)
    assert planned(store, short) == []
    with store.reading() as connection:
        (row,) = connection.execute(sa.select(notifications.c.event, notifications.c.state))
    assert tuple(row) == ("opened", "sent"), "nothing is expected any more"


def test_an_episode_that_was_taken_up_goes_on(store, rules, begin):
    """Its end is told when it is over, and until then it is among those that go on."""
    number = begin()
    planned(store, rules)
    tell(store, rules)
    acknowledge(store, number)
    assert planned(store, rules) == []
    assert [one.episode_id for one in outbox.active(store, "ops", NAMES)] == [number]
    close(store, number)
    assert planned(store, rules) == [(number, "resolved")]


def test_of_other_monitors_nothing_is_told(store, rules, begin):
    store.add_monitors(["fans"])
    fans = begin(monitor="fans")
    assert planned(store, rules) == []
    assert planned(store, rules, {"fans"}) == [(fans, "opened")]
    assert planned(store, rules) == []


def test_one_of_two_replicas_sends_it(store, rules, begin, clock):
    begin()
    outbox.plan(store, rules, NAMES)
    (one,) = outbox.waiting(store, "ops", NAMES)
    assert delivery.claim(store, one, clock.now + timedelta(seconds=20))
    assert not delivery.claim(store, one, clock.now + timedelta(seconds=20))
    (again,) = outbox.waiting(store, "ops", NAMES)
    assert (again.attempts, again.next_try_at) == (1, clock.now + timedelta(seconds=20))


def test_who_was_long_away_takes_nothing_back(store, rules, begin):
    """Given a replica that sent for so long that another took it up, and told it."""
    begin()
    outbox.plan(store, rules, NAMES)
    (one,) = outbox.waiting(store, "ops", NAMES)
    assert delivery.claim(store, one, store.now())
    (again,) = outbox.waiting(store, "ops", NAMES)
    assert delivery.claim(store, again, store.now())
    delivery.note_sent(store, again, Severity.WARNING, 200)
    delivery.note_failed(store, one, "no answer", None, store.now())
    (told,) = delivery.listed(store)
    assert (told.state, told.last_error) == (NotificationState.SENT, "")


def test_what_was_given_up_can_be_tried_again(store, rules, begin):
    number = begin()
    outbox.plan(store, rules, NAMES)
    (one,) = outbox.waiting(store, "ops", NAMES)
    assert delivery.claim(store, one, store.now())
    delivery.note_failed(store, one, "HTTP 404", 404, None)
    assert planned(store, rules) == []
    close(store, number)
    assert planned(store, rules) == [], "whoever was not told that it opened hears of no end"
    (dead,) = delivery.listed(store, states=[NotificationState.DEAD])
    with store.reading() as connection:
        query = sa.text(
            "SELECT notification, receiver, episode, status, last_error FROM dead_letters"
        )
        assert [tuple(row) for row in connection.execute(query)] == [
            (dead.id, "ops", number, 404, "HTTP 404")
        ]
    assert outbox.counted(store, "ops", NAMES) == {"waiting": 0, "dead": 1}
    assert outbox.counted(store, "ops", []) == {"waiting": 0, "dead": 0}
    assert delivery.try_again(store, dead.id + 1) == 0
    assert delivery.try_again(store) == 1
    assert planned(store, rules) == [(number, "opened")]
    tell(store, rules)
    assert planned(store, rules) == [(number, "resolved")]
    assert delivery.try_again(store) == 0


def test_they_go_with_their_episodes(store, rules, begin, clock):
    number = begin()
    kept = begin()
    planned(store, rules)
    tell(store, rules)
    close(store, number)
    planned(store, rules)
    clock.forward(timedelta(days=20))
    settings = RetentionSettings(anomalies=timedelta(days=10))
    counts = prune(store, "pumps", settings, clock.now, rest=lambda _: None)
    assert counts["episodes"] == 1
    with store.reading() as connection:
        left = connection.execute(sa.select(notifications.c.episode_id)).scalars().all()
        assert set(left) == {kept}
        assert connection.execute(sa.select(receivers.c.name)).scalars().all() == ["ops"]
    assert planned(store, rules) == []


@pytest.mark.alone
def test_a_look_at_a_thousand_monitors_costs_next_to_nothing(store, rules, clock):
    """Given a year of them: 20,000 episodes that were told, and 50 that go on."""
    names = [f"m{n}" for n in range(1000)]
    store.add_monitors(names)
    told = range(20_000)
    row = {
        "entity": "p1", "started_at": clock.now, "ended_at": clock.now, "records": 3,
        "severity": "warning", "peak_exceedance": 2.0, "peak_record_key": "7", "feature": "flow",
        "blame": {"flow": 1.0}, "calm_records": 0, "updated_at": clock.now,
    }  # fmt: skip
    sent = {
        "receiver": "ops", "event": "opened", "state": "sent", "severity": "warning",
        "created_at": clock.now,
    }  # fmt: skip
    with store.writing() as connection:
        long_ago = rules.since - timedelta(days=30)
        connection.execute(
            sa.insert(episodes),
            [
                {**row, "id": n, "monitor": names[n % 1000], "opened_at": long_ago,
                 "state": "open" if n < 50 else "closed"}
                for n in told
            ],
        )  # fmt: skip
        connection.execute(
            sa.insert(notifications),
            [{**sent, "monitor": names[n % 1000], "episode_id": n} for n in told],
        )
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("ANALYZE"))
    took = []
    for _ in range(5):
        began = monotonic()
        assert planned(store, rules, set(names)) == []
        outbox.counted(store, "ops", names)
        took.append(monotonic() - began)
    print(f"{store.engine.dialect.name}: {1000 * min(took):.1f} ms")
    assert min(took) < 0.1  # every 10 s: a hundredth of a core
