"""`aemon status`: where every monitor stands, and whether its promise is kept."""

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from aemon.cli.output import (
    CONFIG_FILE,
    ConfigOption,
    JsonOption,
    opened_results,
    print_json,
    read_config,
)
from aemon.cli.tables import print_table, show_time

if TYPE_CHECKING:
    from aemon.store.queries import MonitorOverview


def status(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Show where every monitor stands: the share of records that may be flagged, and that was.

    What is promised is about normal records. Among those flagged may be true
    anomalies: nobody has said which they are.
    """
    from aemon.clock import utc_now
    from aemon.store import queries

    settings = read_config(config)
    with opened_results(settings) as store:
        since = utc_now() - timedelta(days=1)
        monitors = queries.overview(store, settings.monitors, since)
    if as_json:
        print_json(monitors)
    elif monitors:
        _print(monitors)
    else:
        typer.echo("no monitor has run yet")


def _print(monitors: "list[MonitorOverview]") -> None:
    print_table(
        ("monitor", "detector", "trained (UTC)", "judged", "promised", "flagged", "last run"),
        [
            (
                monitor.name,
                monitor.detector_version,
                show_time(monitor.trained_at) if monitor.trained_at else None,
                monitor.realised.judged,
                _percent(monitor.false_alarm_rate),
                _percent(monitor.realised.share),
                monitor.last_score.outcome if monitor.last_score else None,
            )
            for monitor in monitors
        ],
        notes=[monitor.last_score.reason if monitor.last_score else "" for monitor in monitors],
    )


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2g}%"
