"""`aemon rules`: Prometheus rules for the configured monitors."""

from pathlib import Path
from typing import Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, open_installation
from aemon.errors import ConfigError

TESTS = "aemon.rules.test.yml"


def rules(
    output: Annotated[
        Path | None,
        typer.Option(help="Write aemon.rules.yml, and tests of the rules, into this folder."),
    ] = None,
    job: Annotated[
        str, typer.Option(help="Name of the daemons' scrape job in Prometheus.")
    ] = "aemon",
    episodes: Annotated[
        bool,
        typer.Option("--episodes", help="Add alerts for episodes that `notify` reports."),
    ] = False,
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Print alerting and recording rules for Prometheus, made from the configuration.

    Windows and waiting times follow from each monitor's own schedule, and
    `labels` of a monitor become labels of its alerts. Episodes that `notify`
    reports have no rule, unless you add --episodes. With --output, unit tests
    are written beside the rules: run them with promtool test rules.
    """
    from aemon.operations.alert_rules import RULES_FILE, alert_rules

    with open_installation(config) as installation:
        made = alert_rules(installation, job, with_tests=output is not None, episodes=episodes)
    if made.left_to_notify:
        typer.echo(
            "`notify` reports episodes, so there is no rule for them; --episodes adds the rules",
            err=True,
        )
    if output is None:
        typer.echo(made.rules, nl=False)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / RULES_FILE).write_text(made.rules, encoding="utf-8")
        (output / TESTS).write_text(made.tests, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}", todo="choose a folder that can be written"
        ) from error
    typer.echo(
        f"wrote {output / RULES_FILE}, {made.alerts} alerts, and {TESTS}: "
        f"promtool test rules {output / TESTS}"
    )
