"""`aemon status`: the state of every monitor, with its target rate and its realised rate."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, open_installation, print_json
from aemon.cli.printed_tables import INDENT, print_table, print_words, show_time

if TYPE_CHECKING:
    from aemon.doctor.daemon_client import Answer


def status(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Show the state of every monitor: the target rate, and the share that was flagged.

    Below each monitor: the reason of the last run, whether the detector is
    provisional or a new detector is on trial, drifts, and the number of open
    episodes. The running daemon is asked; if it does not answer, the store is
    read. The target rate is about normal records. The flagged share also
    counts true anomalies.
    """
    from aemon.doctor.daemon_client import ask_daemon

    with open_installation(config) as installation:
        answer = ask_daemon(installation.config)
        if answer.status is not None:
            monitors = [{**entry, "told_by": "daemon"} for entry in answer.status["monitors"]]
        else:
            from aemon.operations.json_form import plain
            from aemon.operations.status_report import stored_status

            known = plain(stored_status(installation))
            monitors = [{**entry, "told_by": "store"} for entry in known]
    if as_json:
        print_json(monitors)
        return
    _print_daemon(answer)
    if monitors:
        _print(monitors)
    else:
        typer.echo("no monitor has run yet")


def _print_daemon(answer: "Answer") -> None:
    state = answer.status
    if state is None:
        print_words(f"from the store: {answer.why}")
        if answer.todo:
            print_words(answer.todo, indent=INDENT)
        return
    held = sum(entry["held"] for entry in state["monitors"])
    replicas = f", one of {state['replicas']} replicas" if state["replicas"] > 1 else ""
    lag = state["scheduler_lag_seconds"]
    heartbeat = "not started" if lag is None else f"scheduler {lag:.0f} s ago"
    print_words(
        f"from the daemon at {answer.address}: aemon {state['aemon']}, up for "
        f"{_uptime(state['uptime_seconds'])}, {state['health'].partition(':')[0]} ({heartbeat}), "
        f"watches {held} of {len(state['monitors'])} monitors{replicas}"
    )


def _uptime(seconds: float) -> str:
    from aemon.clock import format_duration

    whole = 60 if seconds >= 60 else 1  # noqa: PLR2004 -- seconds of a minute
    return format_duration(timedelta(seconds=seconds // whole * whole))


def _print(monitors: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ("monitor", "detector", "trained (UTC)", "judged", "target", "flagged", "last run"),
        [
            (
                monitor["name"],
                monitor["detector_version"],
                _time(monitor["trained_at"]),
                monitor["realised"]["judged"],
                _percent(monitor["false_alarm_rate"]),
                _share(monitor["realised"]),
                monitor["last_score"]["outcome"] if monitor["last_score"] else None,
            )
            for monitor in monitors
        ],
        notes=[_note(monitor) for monitor in monitors],
    )


def _note(monitor: Mapping[str, Any]) -> str:
    """Return the texts of a monitor's status, without its numbers.

    An older daemon does not send all fields.
    """
    parts = [monitor["last_score"]["reason"] if monitor["last_score"] else ""]
    if monitor.get("provisional"):
        parts.append("provisional: too few records to show the target rate")
    if monitor.get("on_trial"):
        parts.append(f"detector {monitor['on_trial']} is on trial")
    parts += [f"drift: {reason}" for reason in monitor.get("drifts", ())]
    parts += monitor.get("traffic", ())
    if count := monitor.get("episodes_open"):
        parts.append(f"{count} episode{'' if count == 1 else 's'} open")
    return "; ".join(filter(None, parts))


def _time(text: str | None) -> str | None:
    return show_time(datetime.fromisoformat(text)) if text else None


def _share(realised: Mapping[str, int]) -> str | None:
    judged = realised["judged"]
    return _percent(realised["flagged"] / judged) if judged else None


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2g}%"
