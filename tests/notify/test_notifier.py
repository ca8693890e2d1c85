"""Telling real receivers: retried, in order, once, and never longer than it is wanted."""

import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from aemon.clock import utc_now
from aemon.config.receiver_settings import Receiver
from aemon.config.schema import Config
from aemon.config.values.templates import LONGEST_TEXT
from aemon.errors import StoreError
from aemon.lifecycle.training_run import train_once
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.notify import courier
from aemon.notify.composing import Words, message_of
from aemon.notify.notifier import Outbox
from aemon.notify.receivers import alertmanager as alerting
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.records import Job, Outcome, Snooze
from aemon.run import Run, Stop
from aemon.run_report import RunCounts, RunReport
from aemon.store import delivery
from aemon.store.delivery import listed, try_again
from aemon.store.engine import open_engine
from aemon.store.episode_queries import acknowledge, close, episode_summaries
from aemon.store.outbox import Notification, Rules, plan, waiting
from aemon.store.schema.tables import anomalies, contributions, episodes
from aemon.store.snoozes import add_snooze
from aemon.store.store import Store
from aemon.testing.http_receiver import receiving
from tests.alertmanager import alertmanager
from tests.monitoring.test_episode_tracker import add
from tests.readings import LEARNED

PAGE = "http://aemon.example"
# What is asked of the store is tested on both in tests/store.
IN_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(courier, "LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(courier, "LEAST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(courier, "FIRST_PAUSE", timedelta(milliseconds=100))


@pytest.fixture
def live(store) -> Store:
    """The store by the clock of this host, as the daemon has it."""
    return Store(store.engine, utc_now)


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def telling(store_url):
    """Starts outboxes of their own connections, and stops them at the end."""
    begun = []

    def telling(**receivers) -> Outbox:
        own = Store(open_engine(store_url), utc_now)
        metrics = Metrics(CollectorRegistry())
        outbox = Outbox(own, metrics, held=lambda: {"pumps"}, page=PAGE)
        outbox.metrics = metrics
        outbox.adopt(configured(**receivers))
        begun.append(outbox)
        return outbox

    yield telling
    for outbox in begun:
        outbox.stop(5)


def configured(**receivers) -> Config:
    for one in receivers.values():
        one.setdefault("kind", "webhook")
        one.setdefault("timeout", "1s")
    monitor = {"source": {"kind": "host"}, "score_every": "1m"}
    return Config.model_validate({"notify": receivers, "monitors": {"pumps": monitor}})


def begin(store, *, severity="warning", entity="p1", state="open", days_ago=0) -> int:
    now = utc_now()
    at = now - timedelta(days=days_ago)
    row = {
        "monitor": "pumps", "entity": entity, "state": state, "severity": severity,
        "started_at": at, "ended_at": at, "records": 3, "peak_exceedance": 2.0,
        "peak_record_key": "7", "feature": "flow", "blame": {"flow": 3.0, "current": 1.0},
        "calm_records": 0, "updated_at": now, "opened_at": now,
    }  # fmt: skip
    with store.writing() as connection:
        made = connection.execute(sa.insert(episodes).values(row)).inserted_primary_key
        return int(made[0])


def escalate(store, number) -> None:
    with store.writing() as connection:
        worse = sa.update(episodes).where(episodes.c.id == number).values(severity="critical")
        connection.execute(worse)


def wait(done, what, seconds=10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def states(store) -> dict[tuple[int, str], str]:
    return {(one.episode_id, one.event): one.state for one in listed(store, limit=100)}


def counted(outbox, name, **labels) -> float | None:
    return outbox.metrics.registry.get_sample_value(name, {"receiver": "ops", **labels})


def test_a_message_says_what_the_store_knows_and_its_sql_runs(settings, live, database):
    words = Words(units={"flow": "l/s"}, labels={"team": "water"})
    train_once("pumps", settings, live, utc_now)
    monitor = Monitor("pumps", settings, live, utc_now)
    add(database, LEARNED, "..xx.")
    monitor.score_once(Run(), Stop())
    monitor.close()
    (told,) = episode_summaries(live, ["pumps"])
    delivery_row = plan_for_ops(live)
    message = message_of(live, delivery_row, words, PAGE)
    assert (message.episode, message.records, message.page) == (
        told.id,
        2,
        f"{PAGE}/episodes/{told.id}",
    )
    assert message.labels == {"team": "water"}
    assert message.reason
    assert sum(one.share for one in message.columns) == pytest.approx(1)
    first, *_ = message.columns
    assert first.column == told.feature
    assert first.observed is not None
    assert first.expected is not None
    assert {one.column: one.unit for one in message.columns}["flow"] == "l/s"
    # A column without a hundredth of the blame is not called to blame
    with live.writing() as connection:
        blame = {"flow": 0.995, "pressure": 0.005, "current": 0.0}
        connection.execute(sa.update(episodes).values(blame=blame))
    assert [one.column for one in message_of(live, delivery_row, words, PAGE).columns] == ["flow"]
    with live.reading() as connection:
        found = connection.exec_driver_sql(message.sql.rstrip(";")).mappings().all()
    assert [row["record_key"] for row in found] == [str(LEARNED + 2), str(LEARNED + 3)]
    assert message.reason in {row["reason"] for row in found}
    # Whatever stands in a cell, each kind of receiver gets the usual text
    with live.writing() as connection:
        connection.execute(sa.update(anomalies).values(reason="<&" * 12_500))
        long = {"observed_text": "<&" * 12_500, "observed": None}
        connection.execute(sa.update(contributions).values(**long))
        connection.execute(sa.update(episodes).values(label="<&" * 12_500))
    cut = message_of(live, delivery_row, words, PAGE)
    for kind in ("webhook", "slack", "alertmanager"):
        one = TypeAdapter(Receiver).validate_python(
            {"kind": kind, "url": "https://there.example/x"}
        )
        assert len(receiver_of(one).payload(cut, utc_now())) < LONGEST_TEXT


def plan_for_ops(store) -> Notification:
    """What a look makes of the only episode there is."""
    rules = Rules(
        receiver="ops", since=utc_now(), oldest=None, least="warning", resolved=True,
    )  # fmt: skip
    plan(store, rules, {"pumps"})
    (one,) = waiting(store, "ops", {"pumps"})
    return one


def test_an_episode_is_told_from_beginning_to_end(live, receiver, telling):
    outbox = telling(ops={"url": receiver.url})
    number = begin(live)
    wait(lambda: receiver.heard, "the beginning")
    escalate(live, number)
    wait(lambda: len(receiver.heard) == 2, "that it is worse")
    close(live, number)
    wait(lambda: len(receiver.heard) == 3, "the end")
    assert receiver.events() == [(number, event) for event in ("opened", "escalated", "resolved")]
    assert [h.body["severity"] for h in receiver.heard] == ["warning", "critical", "critical"]
    assert len({h.body["id"] for h in receiver.heard}) == 3
    assert all(h.body["id"] == h.headers["Idempotency-Key"] for h in receiver.heard)
    wait(lambda: counted(outbox, "aemon_notifications_total", outcome="sent") == 3, "the count")
    assert counted(outbox, "aemon_notifications_waiting") == 0


def ran(outbox, *, unfinished=False) -> None:
    """Tell couriers of a run that has just ended."""
    counts = RunCounts(unfinished=unfinished)
    now = utc_now()
    outbox.observe(
        RunReport(
            monitor="pumps", job=Job.SCORE, outcome=Outcome.OK, started_at=now, finished_at=now,
            counts=counts,
        )
    )  # fmt: skip


def long_over(store, days, *, severity="warning") -> int:
    """An episode that ended so many days before it was found."""
    return begin(store, severity=severity, state="closed", days_ago=days)


@pytest.mark.parametrize("kind", ["webhook", "slack", "alertmanager"])
@IN_SQLITE
def test_a_backlog_is_one_message(live, receiver, telling, kind):
    outbox = telling(ops={"url": receiver.url, "kind": kind})
    wait(lambda: outbox._couriers["ops"]._known_at, "the receiver to be known")
    ran(outbox, unfinished=True)
    # Given a backlog of which more is to be read
    for days in (90, 60, 30, 2):
        long_over(live, days)
    newest = long_over(live, 1, severity="critical")
    time.sleep(0.4)
    assert receiver.heard == [], "it waits for the rest"
    # When all was read, then one message tells of all of it
    ran(outbox)
    wait(lambda: receiver.heard, "the summary")
    body = receiver.heard[0].body
    (told,) = listed(live)
    assert (told.episode_id, told.event, told.severity) == (newest, "backlog", "critical")
    if kind == "webhook":
        assert (body["event"], body["episodes"], body["records"]) == ("backlog", 5, 15)
        assert body["title"] == "pumps: 5 episodes in a backlog"
        assert body["reason"].startswith("5 episodes in the records of ")
        with live.reading() as connection:
            rows = connection.exec_driver_sql(body["sql"].rstrip(";")).all()
        assert len(rows) == 5
    if kind == "alertmanager":
        (alert,) = body
        assert alert["labels"]["alertname"] == "AemonBacklog"
    # And nothing comes after it, until there is another backlog
    ran(outbox)
    time.sleep(0.4)
    assert len(receiver.heard) == 1
    long_over(live, 40)
    ran(outbox)
    wait(lambda: len(receiver.heard) == 2, "the next summary")
    if kind == "webhook":
        again = receiver.heard[1].body
        assert (again["episodes"], again["reason"][:27]) == (1, "one episode in the records ")
    assert [one.event for one in listed(live)] == ["backlog", "backlog"]


@IN_SQLITE
def test_a_few_that_were_over_lately_are_told_one_by_one(live, receiver, telling):
    outbox = telling(ops={"url": receiver.url})
    wait(lambda: outbox._couriers["ops"]._known_at, "the receiver to be known")
    numbers = [long_over(live, days) for days in (3, 2)]
    ran(outbox)
    wait(lambda: len(receiver.heard) == 4, "both, and that they are over")
    assert sorted(receiver.events()) == [
        (number, event) for number in numbers for event in ("opened", "resolved")
    ]


@IN_SQLITE
def test_a_receiver_that_fails_is_asked_again_and_waited_for(live, receiver, telling, monkeypatch):
    """Given answers that may be others some day, one of which says when, and a store that is slow."""

    def slowly(*args):
        found = waiting(*args)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(courier.outbox, "waiting", slowly)
    receiver.answers = [(503, {}, b""), "cut", "hang", (429, {"Retry-After": "1"}, b"slowly")]
    outbox = telling(ops={"url": receiver.url, "timeout": "1s"})
    first, second = begin(live), begin(live, entity="p2")
    wait(lambda: len(receiver.heard) == 6, "both to be told", seconds=30)
    assert [h.body["episode"] for h in receiver.heard] == [first] * 5 + [second]
    assert len({h.body["id"] for h in receiver.heard[:5]}) == 1
    times = [h.at for h in receiver.heard]
    assert times[4] - times[3] >= 0.99, "it waited as long as it was asked to"
    wait(lambda: set(states(live).values()) == {"sent"}, "both to be known as sent")
    assert counted(outbox, "aemon_notifications_total", outcome="failed") == 4
    tried = {one.episode_id: one.attempts for one in listed(live)}
    assert tried == {first: 5, second: 1}


@IN_SQLITE
def test_one_message_that_is_refused_holds_up_no_other(live, receiver, telling):
    receiver.answers = [(400, {}, b"cannot read that"), (500, {}, b"nor that")]
    outbox = telling(ops={"url": receiver.url})
    numbers = [begin(live, entity=f"p{n}") for n in range(3)]
    wait(lambda: len(receiver.heard) >= 4, "the others")
    refused, postponed, taken = numbers
    assert [h.body["episode"] for h in receiver.heard] == [refused, postponed, taken, postponed]
    wait(lambda: states(live) == {
        (refused, "opened"): "dead", (postponed, "opened"): "sent", (taken, "opened"): "sent",
    }, "what became of them")  # fmt: skip
    (dead,) = (one for one in listed(live) if one.state == "dead")
    assert (dead.status, dead.last_error) == (400, "HTTP 400: cannot read that")
    wait(lambda: counted(outbox, "aemon_notifications_dead") == 1, "the gauge")
    # When it is mended and somebody asks for it
    assert try_again(live) == 1
    wait(lambda: states(live)[refused, "opened"] == "sent", "the dead letter to be sent")
    wait(lambda: counted(outbox, "aemon_notifications_dead") == 0, "the gauge")


@IN_SQLITE
def test_an_end_waits_for_what_was_to_be_told_before(live, receiver, telling):
    receiver.answers = [(200, {}, b""), *3 * [(500, {}, b"")]]
    telling(ops={"url": receiver.url})
    number = begin(live)
    wait(lambda: receiver.heard, "the beginning")
    escalate(live, number)
    wait(lambda: len(receiver.heard) == 2, "it to fail")
    close(live, number)
    wait(lambda: states(live).get((number, "resolved")) == "sent", "the end")
    events = ["opened", *4 * ["escalated"], "resolved"]
    assert receiver.events() == [(number, event) for event in events]


@IN_SQLITE
def test_it_is_given_up_at_some_time(live, receiver, telling):
    receiver.always = (502, {}, b"")
    telling(ops={"url": receiver.url, "give_up_after": "500ms"})
    number = begin(live)
    wait(lambda: states(live).get((number, "opened")) == "dead", "it to be given up")
    assert len(receiver.heard) >= 3
    close(live, number)
    heard = len(receiver.heard)
    time.sleep(0.5)
    assert len(receiver.heard) == heard, "nor is its end told"


@IN_SQLITE
def test_nothing_dies_of_a_clock_that_is_set_ahead(live, receiver, store_url):
    """Given one that waits, and one that is not planned yet, while the clock is set."""
    ahead = timedelta(0)
    own = Store(open_engine(store_url), lambda: utc_now() + ahead)
    outbox = Outbox(own, Metrics(CollectorRegistry()), held=lambda: {"pumps"}, page=PAGE)
    receiver.always = (503, {}, b"")
    outbox.adopt(configured(ops={"url": receiver.url}))
    first = begin(live)
    wait(lambda: len(receiver.heard) >= 2, "it to be tried")
    second = begin(live, entity="p2", state="closed")
    ahead = timedelta(days=400)
    heard = len(receiver.heard)
    wait(lambda: len(receiver.heard) >= heard + 3, "it to be tried again")
    assert "dead" not in states(live).values()
    receiver.always = (200, {}, b"")
    wait(lambda: states(live).get((first, "opened")) == "sent", "it to be told")
    wait(lambda: states(live).get((second, "opened")) == "sent", "the other to be told")
    outbox.stop(5)


@IN_SQLITE
def test_what_waited_for_a_receiver_that_was_away_for_weeks_is_no_news(live, receiver, telling):
    """Given one that was taken out of the configuration before it was told, and is back in it."""
    long_ago = Store(live.engine, lambda: utc_now() - timedelta(days=20))
    outbox = telling()
    number = begin(live)
    plan_for_ops(long_ago)
    outbox.adopt(configured(ops={"url": receiver.url}))
    wait(lambda: states(live).get((number, "opened")) == "dead", "it to be given up")
    assert listed(live)[0].last_error == "too old to be sent"
    assert receiver.heard == []


@IN_SQLITE
@pytest.mark.parametrize(
    "template",
    [
        {"template": "{{ 1 / (records - 3) }}"},
        {"template": "{% for n in range(9000) if records == 3 %}long{% endfor %}"},
        {"body": '{"text": {{ (1 if records > 3 else nothing) | tojson }}}'},
        {"body": "{% if records == 3 %}no JSON{% else %}{}{% endif %}"},
    ],
)
def test_where_a_template_cannot_be_filled_the_usual_text_is_sent(
    live, receiver, telling, template, caplog
):
    telling(ops={"url": receiver.url, **template})
    number = begin(live)
    wait(lambda: states(live).get((number, "opened")) == "sent", "it to be told")
    assert f"aemon episodes show {number}" in receiver.heard[0].body["text"]
    assert [one.action for one in caplog.records if "template" in one.action] == ["notify.template"]


@IN_SQLITE
def test_what_waits_for_a_receiver_that_hears_of_its_monitor_no_more_is_not_counted(
    live, receiver, telling
):
    """It would be told for ever as a receiver that takes nothing."""
    receiver.always = (502, {}, b"")
    outbox = telling(ops={"url": receiver.url})
    begin(live)
    wait(lambda: counted(outbox, "aemon_notifications_waiting") == 1, "it to wait")
    outbox.adopt(configured(ops={"url": receiver.url, "monitors": []}))
    time.sleep(0.5)
    assert counted(outbox, "aemon_notifications_waiting") == 0


@IN_SQLITE
def test_a_template_that_fails_for_an_open_episode_ends_no_alert(
    live, receiver, telling, monkeypatch
):
    monkeypatch.setattr(alerting, "SENT_EVERY", timedelta(seconds=0.2))
    receiver.always = (200, {}, b"")
    there = {"kind": "alertmanager", "url": receiver.url, "template": "{{ 1 / (records - 9) }}"}
    telling(ops=there)
    first, second = begin(live), begin(live, entity="p2")
    both = {(number, "opened"): "sent" for number in (first, second)}
    wait(lambda: states(live) == both, "both to be told")
    with live.writing() as connection:
        longer = sa.update(episodes).where(episodes.c.id == first).values(records=9)
        connection.execute(longer)

    def usual() -> bool:
        alerts = receiver.heard[-1].body
        told = {one["labels"]["episode"]: one["annotations"]["description"] for one in alerts}
        return len(told) == 2 and "9 records" in told[str(first)]

    wait(usual, "both to be sent again, the one in the usual text")


@IN_SQLITE
def test_a_receiver_that_hangs_keeps_no_other_waiting(live, receiver, telling):
    with receiving() as other:
        receiver.always = "hang"
        telling(ops={"url": receiver.url, "timeout": "30s"}, chat={"url": other.url})
        for n in range(3):
            begin(live, entity=f"p{n}")
        wait(lambda: len(other.heard) == 3, "the other to be told", 3)
        receiver.over.set()


def test_two_daemons_and_a_restart_tell_it_once(live, receiver, telling):
    """Even while both hold the monitor, as one that was overtaken and does not know it."""
    receiver.always = (200, {}, b"")
    both = [telling(ops={"url": receiver.url}) for _ in range(2)]
    numbers = [begin(live, entity=f"p{n}") for n in range(10)]
    wait(lambda: len(receiver.heard) >= 10, "all to be told")
    for outbox in both:
        outbox.stop(5)
    telling(ops={"url": receiver.url})
    for number in numbers:
        close(live, number)
    wait(lambda: len(receiver.heard) >= 20, "all ends to be told")
    time.sleep(0.3)
    expected = [(number, event) for number in numbers for event in ("opened", "resolved")]
    assert sorted(receiver.events()) == sorted(expected)


@IN_SQLITE
def test_what_was_sent_while_the_store_is_away_is_not_sent_again(
    live, receiver, telling, monkeypatch
):
    note_sent, failures = delivery.note_sent, []

    def away(*args):
        if len(failures) < 3:
            failures.append(1)
            raise StoreError("the store failed: it is away")
        note_sent(*args)

    monkeypatch.setattr(delivery, "note_sent", away)
    outbox = telling(ops={"url": receiver.url})
    number = begin(live)
    wait(lambda: states(live).get((number, "opened")) == "sent", "it to be noted")
    assert (len(receiver.heard), len(failures)) == (1, 3)
    assert outbox.metrics.registry.get_sample_value("aemon_store_errors_total") == 3


@IN_SQLITE
def test_receivers_come_and_go_and_leave_no_series_behind(live, receiver, telling):
    outbox = telling(ops={"url": receiver.url})
    assert counted(outbox, "aemon_notifications_total", outcome="dead") == 0
    number = begin(live)
    wait(lambda: receiver.heard, "the beginning")
    with receiving() as other:
        outbox.adopt(configured(ops={"url": other.url}))
        close(live, number)
        wait(lambda: other.heard, "the end, at the new address")
        assert other.events() == [(number, "resolved")]
    outbox.adopt(configured())
    time.sleep(0.3)
    assert counted(outbox, "aemon_notifications_total", outcome="sent") is None
    assert counted(outbox, "aemon_notifications_waiting") is None
    begin(live)
    time.sleep(0.3)
    assert len(receiver.heard) == 1


@IN_SQLITE
def test_a_run_that_changed_nothing_wakes_nobody(live, receiver, telling, monkeypatch):
    monkeypatch.setattr(courier, "LOOK_EVERY_SECONDS", 60)
    outbox = telling(ops={"url": receiver.url})
    now = utc_now()
    calm = {"monitor": "pumps", "job": Job.SCORE, "outcome": Outcome.OK, "started_at": now,
            "finished_at": now}  # fmt: skip
    outbox.observe(RunReport(**calm, counts=RunCounts(episodes_open=0)))
    time.sleep(0.3)
    begin(live)
    outbox.observe(RunReport(**calm, counts=RunCounts(episodes_open=0)))
    time.sleep(0.3)
    assert receiver.heard == []
    outbox.observe(RunReport(**calm, counts=RunCounts(episodes_open=1)))
    wait(lambda: receiver.heard, "it to be told", 2)


@IN_SQLITE
def test_it_stops_though_a_receiver_hangs(live, receiver, telling):
    receiver.always = "hang"
    outbox = telling(ops={"url": receiver.url, "timeout": "30s"})
    number = begin(live)
    wait(lambda: receiver.heard, "it to hang")
    began = time.monotonic()
    outbox.stop(0.5)
    assert time.monotonic() - began < 1
    assert states(live) == {(number, "opened"): "waiting"}
    receiver.over.set()


@pytest.fixture
def hook():
    """Whom Alertmanager tells."""
    with receiving() as hook:
        yield hook


def told_by(hook) -> list[tuple[str, str, str]]:
    """(status, episode, severity) of each alert that Alertmanager told, in order."""
    return [
        (alert["status"], alert["labels"]["episode"], alert["labels"]["severity"])
        for heard in hook.heard
        for alert in heard.body["alerts"]
    ]


@IN_SQLITE
def test_alertmanager_holds_one_alert_of_an_episode(live, hook, telling, tmp_path, monkeypatch):
    """It is the real one: opened, critical, closed; acknowledged; snoozed; and a daemon that dies."""
    monkeypatch.setattr(alerting, "SENT_EVERY", timedelta(seconds=0.2))
    with alertmanager(tmp_path / "alertmanager", hook.url) as there:
        settings = {"kind": "alertmanager", "url": there.url, "labels": {"team": "plant"}}
        outbox = telling(ops=settings)
        first = begin(live)
        wait(lambda: there.active() == [(str(first), "warning")], "the warning")
        escalate(live, first)
        wait(lambda: there.active() == [(str(first), "critical")], "one critical alert")
        monkeypatch.setattr(alerting, "HELD", timedelta(seconds=2))
        taken_up, quiet, left = (begin(live, entity=entity) for entity in ("p2", "p3", "p4"))
        wait(lambda: len(there.active()) == 4, "all of them")
        time.sleep(2.5)
        assert len(there.active()) == 4, "they are sent again, and held"
        (alert,) = (a for a in there.alerts() if a["labels"]["episode"] == str(left))
        assert alert["labels"]["team"] == "plant"
        assert "flow (75 %)" in alert["annotations"]["columns"]
        assert alert["generatorURL"] == f"{PAGE}/episodes/{left}"
        # When people do something about them
        close(live, first)
        acknowledge(live, taken_up)
        on = [(str(taken_up), "info"), (str(taken_up), "warning"), (str(left), "warning")]
        wait(lambda: there.active() == sorted([*on, (str(quiet), "warning")]), "one to end")
        now = utc_now()
        snooze = Snooze(since=now, until=now + timedelta(seconds=3.5), entity="p3")
        add_snooze(live, "pumps", snooze)
        wait(lambda: there.active() == on, "the snoozed one to end")
        wait(lambda: len(there.active()) == 4, "it to come back after the snooze")
        assert ("resolved", str(taken_up), "warning") not in told_by(hook), "it goes on"
        close(live, taken_up)
        ended = ("resolved", str(taken_up), "warning")
        wait(lambda: ended in told_by(hook), "its end to be told once it is over")
        # When the daemon is gone
        outbox.stop(5)
        wait(lambda: there.active() == [], "what a dead daemon told of to end by itself")
        wait(lambda: ("resolved", str(left), "warning") in told_by(hook), "that to be told")
    told = told_by(hook)
    for alert in (("firing", str(first), "critical"), ("resolved", str(first), "critical")):
        assert alert in told
