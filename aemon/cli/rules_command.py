"""`aemon rules`: Prometheus rules that are right for the configured monitors."""

from pathlib import Path
from typing import Annotated

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, read_config
from aemon.errors import ConfigError

RULES, TESTS = "aemon.rules.yml", "aemon.rules.test.yml"


def rules(
    output: Annotated[
        Path | None,
        typer.Option(help=f"Write {RULES}, and tests for it, into this folder."),
    ] = None,
    job: Annotated[
        str, typer.Option(help="What Prometheus calls the scrape job of the daemons.")
    ] = "aemon",
    config: ConfigOption = CONFIG_FILE,
) -> None:
    """Print alerting and recording rules for Prometheus, made from the configuration.

    Windows and waiting times follow from each monitor's own schedule, and
    `labels` of a monitor become labels of its alerts. Unit tests are written
    beside: run them with promtool test rules.
    """
    from aemon.clock import utc_now
    from aemon.rules.promtool_tests import proof_of
    from aemon.rules.rule_files import rule_groups, rules_text

    settings = read_config(config)
    groups = rule_groups(settings, utc_now(), job)
    link = settings.http.url or ""
    text = rules_text(groups, link)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / RULES).write_text(text, encoding="utf-8")
        (output / TESTS).write_text(proof_of(groups, RULES, link), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}", todo="choose a folder that can be written"
        ) from error
    count = sum(len(group.alerts) for group in groups)
    typer.echo(
        f"wrote {output / RULES}, {count} alerts, and {TESTS}: promtool test rules {output / TESTS}"
    )
