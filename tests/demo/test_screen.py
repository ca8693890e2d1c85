import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from aemon.demo.bursts import Blame, Bursts, Flagged
from aemon.demo.files import ThingsToTry
from aemon.demo.score_card import FaultScore, ScoreCard
from aemon.demo.screen import DemoScreen, MonitorProgress

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRY = ThingsToTry(
    sql='sqlite3 -box /tmp/a-rather-long-folder/aemon.db "SELECT * FROM flagged_records LIMIT 5"',
    metrics_url="http://127.0.0.1:9464/metrics",
    status_url="http://127.0.0.1:9464/",
)
WATCHING = MonitorProgress(monitor="pumps", collected=1000, needed=1000, detector_version=1)


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def flagged(second, entity="p3", exceedance=1.5):
    return Flagged(
        monitor="pumps",
        entity=entity,
        event_time=after(second),
        severity="critical",
        p_value=0.00031,
        exceedance=exceedance,
        reason="pressure is too low",
        contributions=(
            Blame(column="pressure", observed=3.9123, expected=5.1, share=0.61),
            Blame(column="valve", observed="open", expected="throttled", share=0.2),
        ),
    )


def open_console(*, terminal):
    return Console(
        file=io.StringIO(),
        width=90,
        force_terminal=terminal,
        legacy_windows=False,
        color_system=None,
    )


@pytest.fixture(params=[True, False], ids=["terminal", "plain"])
def console(request):
    return open_console(terminal=request.param)


@pytest.fixture
def plain():
    return open_console(terminal=False)


def shown(console):
    return console.file.getvalue()


def test_records_of_one_entity_that_follow_closely_are_one_burst():
    # Given a fault of five seconds, reported a second at a time
    bursts, changes = Bursts(), []
    for second in range(5):
        bursts, new = bursts.report([flagged(second + 0.1 * i) for i in range(10)], after(second))
        changes += new
    # Then it began once, and is over once nothing more came
    assert [change.over for change in changes] == [False]
    assert bursts.open[0].records == 50
    bursts, changes = bursts.report([], after(7))
    assert [(change.over, change.burst.records) for change in changes] == [(True, 50)]
    assert bursts.open == ()


def test_entities_have_bursts_of_their_own():
    bursts, changes = Bursts().report([flagged(0), flagged(0.1, "p1")], after(1))
    assert [change.burst.name for change in changes] == ["p3", "p1"]
    assert len(bursts.open) == 2


def test_a_pause_ends_a_burst_even_within_one_report():
    bursts, changes = Bursts().report([flagged(9), flagged(0), flagged(0.1)], after(10))
    assert [(c.over, c.burst.records) for c in changes] == [(False, 1), (True, 2), (False, 1)]
    assert bursts.open[0].first.event_time == after(9)


def test_the_worst_record_of_a_burst_is_the_one_furthest_over_the_line():
    bursts, _ = Bursts().report([flagged(0), flagged(1, exceedance=9), flagged(2)], after(2))
    assert bursts.open[0].worst.exceedance == 9


def test_plain_output_tells_progress_by_quarters_and_has_no_control_codes(plain):
    with DemoScreen(plain, TRY) as screen:
        for collected in range(0, 1001, 10):
            progress = MonitorProgress(monitor="pumps", collected=collected, needed=1000)
            screen.update([progress], [], NOW)
        screen.update([replace(progress, training=True)], [], NOW)
        screen.update([WATCHING], [], NOW)
        screen.update([WATCHING], [flagged(0)], after(1))
    lines = shown(plain).splitlines()
    assert lines[:7] == [
        "pumps: collecting 0 of 1000 records",
        "pumps: collecting 250 of 1000 records",
        "pumps: collecting 500 of 1000 records",
        "pumps: collecting 750 of 1000 records",
        "pumps: collecting 1000 of 1000 records",
        "pumps: training on 1000 records",
        "pumps: watching with detector 1",
    ]
    assert "\x1b" not in shown(plain)
    assert "\r" not in shown(plain)


def test_a_terminal_shows_a_bar_while_records_are_collected():
    console = open_console(terminal=True)
    with DemoScreen(console, TRY) as screen:
        screen.update([MonitorProgress(monitor="pumps", collected=312, needed=1000)], [], NOW)
    assert "collecting 312 of 1000 records" in shown(console)
    assert "━" in shown(console)


def test_a_flagged_record_shows_when_whose_how_odd_and_the_columns_to_blame(console):
    with DemoScreen(console, TRY) as screen:
        screen.update([WATCHING], [flagged(0)], after(1))
    text = shown(console)
    for part in ("p3 (pumps)", "critical", "p = 0.00031", "pressure", "3.912", "expected 5.1"):
        assert part in text
    assert "61%" in text
    assert "expected throttled" in text


def test_a_fault_of_fifty_records_takes_few_lines(plain):
    with DemoScreen(plain, TRY) as screen:
        for second in range(5):
            records = [flagged(second + 0.1 * i, exceedance=1 + second + i) for i in range(10)]
            screen.update([], records, after(second + 1))
        screen.update([], [], after(8))
    lines = shown(plain).splitlines()
    assert len(lines) == 4
    assert lines[-1].strip() == (
        "… p3 49 more in 4.9 s; "
        "worst: pressure 3.912 (expected 5.1), valve open (expected throttled)"
    )


def test_a_terminal_shows_how_a_burst_goes_on():
    console = open_console(terminal=True)
    with DemoScreen(console, TRY) as screen:
        screen.update([WATCHING], [flagged(0.1 * i) for i in range(8)], after(1))
    assert "p3 … 7 more flagged in 0.7 s" in shown(console)


def test_leaving_the_screen_closes_open_bursts(console):
    with DemoScreen(console, TRY) as screen:
        screen.update([WATCHING], [flagged(0), flagged(1)], after(1))
    assert "p3 1 more in 1.0 s" in shown(console)


def test_the_first_detector_brings_three_things_to_try_once(console):
    with DemoScreen(console, TRY) as screen:
        screen.update([MonitorProgress(monitor="pumps", collected=9, needed=1000)], [], NOW)
        assert TRY.metrics_url not in shown(console)
        for version in (1, 1, 2):
            screen.update([replace(WATCHING, detector_version=version)], [], NOW)
    assert shown(console).count(TRY.metrics_url) == 1
    assert TRY.status_url in shown(console)
    # In one piece, so that it can be copied
    assert TRY.sql in shown(console)


def test_a_record_without_entity_or_columns_shows_its_monitor_and_reason(console):
    record = replace(flagged(0, entity=""), contributions=())
    with DemoScreen(console, TRY) as screen:
        screen.update([], [record], after(1))
    assert "pumps  critical" in shown(console)
    assert "pressure is too low" in shown(console)


def test_text_that_looks_like_markup_is_shown_as_it_is(console):
    with DemoScreen(console, TRY) as screen:
        screen.note("folder [bold]/tmp[/x]")
        screen.update([], [flagged(0, entity="[red]p[/nothing]")], after(1))
    assert "folder [bold]/tmp[/x]" in shown(console)
    assert "[red]p[/nothing]" in shown(console)


def test_the_score_card_shows_every_fault_and_the_totals(console):
    def fault(kind, seconds):
        return FaultScore(
            kind=kind,
            pump="p1",
            started_at=NOW,
            columns=("pressure", "flow"),
            seconds_until_flagged=seconds,
            records_flagged=0 if seconds is None else 42,
        )

    card = ScoreCard(
        planted=2,
        flagged=1,
        missed=1,
        false_alarms=3,
        records_judged_normal=1997,
        faults=(fault("leak", 0.2), fault("stuck sensor", None)),
    )
    DemoScreen(console, TRY).show_score_card(card)
    text = shown(console)
    for part in ("leak", "0.2 s", "42", "stuck sensor", "missed", "pressure, flow"):
        assert part in text
    assert "1 of 2 faults flagged, 1 missed; 3 false alarms in 2000 normal records" in text
