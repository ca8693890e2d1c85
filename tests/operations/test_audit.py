"""Every change is written down with who, what, when and from where; or not made at all."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.schema import Config
from aemon.errors import ConfigError, NotFoundError, UnknownMonitorError
from aemon.operations.episode_handling import acknowledge_episode, close_episode, label_episode
from aemon.operations.giving_feedback import Statement, give_feedback
from aemon.operations.installation import Installation
from aemon.operations.snoozing import end_snooze, snooze_anomalies
from aemon.records import Actor, FeedbackVerdict
from aemon.store.episode_queries import episode_summaries
from aemon.store.feedback import read_feedback
from aemon.store.lists.audit_log import audit_rows
from aemon.store.schema.tables import episodes
from tests.web.api.made_episodes import episode

ANN = Actor(who="ann", origin="api", address="192.0.2.7")


@pytest.fixture
def installation(store, store_url, clock):
    source = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}
    monitors = {name: {"source": source, "score_every": "1m"} for name in ("pumps", "fans")}
    config = Config.model_validate({"store": store_url, "monitors": monitors})
    store.add_monitors(monitors)
    with store.writing() as connection:
        connection.execute(sa.insert(episodes), [episode(clock(), 1, state="open")])
    return Installation(config, store, clock, ANN)


def noted(store):
    return [
        (row.action, row.monitor, row.details)
        for row in audit_rows(store, ["pumps", "fans"], limit=99)
    ]


def test_a_change_is_noted_with_its_author(installation, store, clock):
    acknowledge_episode(installation, 1, "seen")
    (row,) = audit_rows(store, ["pumps"], limit=9)
    assert (row.who, row.origin, row.address, row.at) == ("ann", "api", "192.0.2.7", clock())
    assert noted(store) == [("acknowledge", "pumps", {"episode": 1, "note": "seen"})]
    # And the second acknowledgement leaves the first author
    acknowledge_episode(Installation(installation.config, store, clock), 1)
    assert episode_summaries(store, ["pumps"])[0].acknowledged_by == "ann"
    assert len(noted(store)) == 2


def test_every_kind_of_change_is_noted(installation, store):
    label_episode(installation, 1, "stuck")
    close_episode(installation, 1)
    said = Statement(verdict=FeedbackVerdict.FALSE_ALARM, record="7", entity="p1")
    given = give_feedback(installation, "pumps", said)
    assert given.entries[0].author == read_feedback(store, "pumps")[0].author == "ann"
    snooze = snooze_anomalies(installation, "fans", lasts=timedelta(hours=1))
    assert snooze.author == "ann"
    end_snooze(installation, snooze.id)
    assert [(action, monitor) for action, monitor, _ in reversed(noted(store))] == [
        ("label", "pumps"), ("close", "pumps"), ("feedback", "pumps"), ("snooze", "fans"),
        ("end_snooze", "fans"),
    ]  # fmt: skip


def test_what_is_refused_is_not_noted(installation, store):
    for refused, change in (
        (NotFoundError, lambda: acknowledge_episode(installation, 2)),
        (NotFoundError, lambda: end_snooze(installation, 2)),
        (ConfigError, lambda: snooze_anomalies(installation, "pumps")),
        (
            ConfigError,
            lambda: give_feedback(
                installation, "pumps", Statement(verdict=FeedbackVerdict.IGNORE_UNTIL)
            ),
        ),
    ):
        with pytest.raises(refused):
            change()
    assert noted(store) == []


def test_a_change_that_fails_is_not_noted(installation, store):
    with pytest.raises(ZeroDivisionError), installation.changing("label").writing():
        1 / 0  # noqa: B018
    assert noted(store) == []


def test_operations_on_a_part_know_no_other_monitors(installation, store):
    snooze = snooze_anomalies(installation, "pumps", lasts=timedelta(hours=1))
    part = installation.narrowed(["fans"])
    assert part.author == "ann"
    with pytest.raises(NotFoundError, match="of fans"):
        acknowledge_episode(part, 1)
    with pytest.raises(NotFoundError):
        end_snooze(part, snooze.id)
    with pytest.raises(UnknownMonitorError) as caught:
        snooze_anomalies(part, "pumps", lasts=timedelta(hours=1))
    assert "pumps" not in caught.value.todo
