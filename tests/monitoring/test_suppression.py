"""What is to be kept quiet is judged and stored with its reasons, told to nobody, and teaches nothing."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.config.quiet_settings import QuietSettings
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Job, Outcome, Snooze
from aemon.run import Run, Stop
from aemon.store import queries
from aemon.store.detectors import detector_row
from aemon.store.ledger import save_run
from aemon.store.schema.tables import scores
from aemon.store.snoozes import add_snooze, all_snoozes, end_snooze
from tests import readings
from tests.monitoring.test_episode_tracker import add
from tests.readings import LEARNED


def time_of(number: int):
    return readings.START + timedelta(seconds=number)


@pytest.fixture
def scored(settings, store, clock, database):
    """Score a pattern of readings under rules of quiet; the run's tally."""
    train_once("pumps", settings, store, clock)
    monitors = []

    def score(pattern: str, first: int = LEARNED, again: bool = False, **quiet) -> Run:
        rules = QuietSettings.model_validate(quiet)
        monitor = Monitor("pumps", settings.model_copy(update={"quiet": rules}), store, clock)
        monitors.append(monitor)
        if pattern:
            add(database, first, pattern)
        tally = Run()
        (monitor.score_again if again else monitor.score_once)(tally, Stop())
        save_run(store, tally.report("pumps", Job.SCORE, Outcome.OK, "", (clock(), clock())),
                 tally.id)  # fmt: skip
        return tally

    yield score
    for monitor in monitors:
        monitor.close()


def verdicts(store) -> str:
    """The verdicts that hold, in order of time, by their first letters."""
    query = sa.select(scores.c.verdict).where(scores.c.superseded_at.is_(None))
    with store.reading() as connection:
        return "".join(
            v[0] for v in connection.execute(query.order_by(scores.c.event_time)).scalars()
        )


def ask(store, sql: str) -> list[tuple]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


def test_maintenance_suppresses_what_is_in_it_and_nothing_else(scored, store):
    stretch = {"since": time_of(LEARNED + 1), "until": time_of(LEARNED + 3)}
    tally = scored("xxxx.", maintenance=[stretch])
    assert verdicts(store) == "assan"
    assert tally.counts.suppressed == {"maintenance": 2}
    assert len(tally.counts.exceedances) == 2
    assert ask(store, "SELECT records_scored, anomalies, records_suppressed FROM runs"
                      " WHERE job = 'score'") == [(5, 2, 2)]  # fmt: skip
    assert ask(store, "SELECT quiet, feedback FROM suppressed_records") == [
        ("maintenance", None)] * 2  # fmt: skip
    assert len(ask(store, "SELECT * FROM flagged_records")) == 2
    # They are in no episode, and are shown to whoever asks for them
    assert ask(store, "SELECT records FROM episodes") == [(2,)]
    shown = queries.flagged_records(store, suppressed=True)
    assert [(one.quiet, bool(one.reason), len(one.columns)) for one in shown] == [
        ("maintenance", True, 3)] * 2  # fmt: skip
    assert len(queries.flagged_records(store)) == 2


def test_a_snooze_suppresses_until_it_is_ended(scored, store, clock):
    clock.now = time_of(LEARNED)
    number = add_snooze(
        store, "pumps", Snooze(since=time_of(LEARNED), until=time_of(LEARNED + 1000)), "filter"
    )
    assert scored("x").counts.suppressed == {"snoozed": 1}
    clock.forward(timedelta(seconds=2))
    assert end_snooze(store, number)
    assert not end_snooze(store, number), "it is over"
    assert scored(".x", first=LEARNED + 1).counts.suppressed == {}
    assert verdicts(store) == "sna"
    (told,) = all_snoozes(store, ["pumps"])
    assert (told.until, told.note) == (time_of(LEARNED + 2), "filter")
    assert all_snoozes(store, ["pumps"], until=clock.now) == []


def test_a_snooze_of_one_entity_leaves_the_others(scored, store):
    add_snooze(store, "pumps", Snooze(
        since=time_of(0), until=time_of(1000), entity="another"))  # fmt: skip
    assert scored("x").counts.suppressed == {}


def test_an_ended_snooze_that_has_not_begun_covers_nothing(store, clock):
    begins = clock.now + timedelta(hours=1)
    number = add_snooze(store, "pumps", Snooze(since=begins, until=begins + timedelta(hours=1)))
    assert end_snooze(store, number)
    (told,) = all_snoozes(store, ["pumps"])
    assert told.until == told.since == begins


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"directions": {"flow": "low", "pressure": "high", "current": "high"}}, "direction"),
        ({"least_gaps": {name: {"absolute": 50} for name in ("flow", "pressure", "current")}}, "small"),
        ({"least_records": 10, "window": "1m"}, "few"),
        ({"least_records": 10, "directions": {"current": "high"},
          "least_gaps": {"current": {"absolute": 50}}}, "direction"),
    ],
)  # fmt: skip
def test_each_rule_says_why(scored, store, rules, reason):
    assert scored("..x", **rules).counts.suppressed == {reason: 1}
    assert ask(store, "SELECT quiet, verdict FROM anomalies JOIN scores USING (monitor, record_key)"
               ) == [(reason, "suppressed")]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_the_window_of_records_reaches_back_into_earlier_runs(scored, store, cut):
    pattern = "..x..x"
    rules = {"least_records": 4, "window": "4s"}
    if cut:
        scored(pattern[:cut], **rules)
    scored(pattern[cut:], first=LEARNED + cut, **rules)
    assert verdicts(store) == "nnsnna"


def test_what_is_no_longer_quiet_is_flagged_when_it_is_judged_again(scored, store, clock, settings):
    stretch = {"since": time_of(LEARNED), "until": time_of(LEARNED + 10)}
    scored(".x.", maintenance=[stretch])
    clock.forward(timedelta(hours=1))
    tally = scored("", again=True)
    assert (tally.counts.records_revised, len(tally.counts.exceedances)) == (1, 1)
    assert verdicts(store) == "nan"
    assert ask(store, "SELECT records FROM episodes") == [(1,)]
    # And the other way round: it leaves its episode
    tally = scored("", again=True, maintenance=[stretch])
    assert (tally.counts.suppressed, tally.counts.exceedances) == ({"maintenance": 1}, ())
    assert verdicts(store) == "nsn"
    assert ask(store, "SELECT a.revision, quiet, episode_id IS NULL FROM anomalies a ORDER BY 1") == [
        (1, "maintenance", True), (2, None, False), (3, "maintenance", True)]  # fmt: skip
    assert scored("", again=True, maintenance=[stretch]).counts.records_revised == 0


def test_what_was_to_be_quiet_teaches_nothing_normal_or_not(scored, store, settings, clock):
    """Given maintenance over ten records, a snooze over ten others, and two odd ones."""
    scored("." * 40 + "x")
    add_snooze(store, "pumps", Snooze(since=time_of(LEARNED + 5), until=time_of(LEARNED + 20)))
    stretch = {"since": time_of(LEARNED), "until": time_of(LEARNED + 10)}
    rules = QuietSettings.model_validate({"maintenance": [stretch]})
    train_once("pumps", settings.model_copy(update={"quiet": rules}), store, clock)
    left_out = detector_row(store, "pumps", 2)["manifest"]["left_out"]
    keys = {why: sorted(int(key) for _, key in pairs) for why, pairs in left_out.items()}
    assert keys["maintenance"] == [LEARNED + n for n in range(10)]
    assert keys["snoozed"] == [LEARNED + n for n in range(10, 20)]
    assert keys["flagged"] == [LEARNED + 40]


def test_a_suppressed_record_is_left_out_of_training_as_a_flagged_one_is(
    scored, store, settings, clock
):
    scored("." * 40 + "x", directions={"current": "high", "flow": "low", "pressure": "high"})
    assert verdicts(store).endswith("s")
    train_once("pumps", settings, store, clock)
    left_out = detector_row(store, "pumps", 2)["manifest"]["left_out"]
    assert left_out["flagged"] == [["", str(LEARNED + 40)]]


def test_calm_goes_on_beside_what_is_quiet(scored, store):
    """Suppressed records neither go on with an episode nor end it."""
    stretch = {"since": time_of(LEARNED + 1), "until": time_of(LEARNED + 9)}
    scored("xxxxxxxxx.x", maintenance=[stretch])
    assert ask(store, "SELECT state, records, calm_records FROM episodes") == [("open", 2, 0)]
