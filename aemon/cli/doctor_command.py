"""`aemon doctor`: the problems of an installation, and what to do about them."""

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json
from aemon.cli.printed_tables import INDENT, print_words
from aemon.errors import ExitCode

_COLOURS = {"ok": None, "warning": "yellow", "error": "red"}


def doctor(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Find what is wrong with this installation, and say what to do.

    Checks the host, the sources, the store, the ledger and the daemon, and
    changes nothing. Fails if there are errors; warnings are not a failure.
    """
    from aemon.doctor.diagnosis import diagnose

    findings = []
    for finding in diagnose(config):
        findings.append(finding)
        if as_json:
            continue
        colour = _COLOURS[finding.level]
        print_words(f"{finding.level:8}{finding.check}: {finding.what}", colour=colour)
        if finding.todo:
            print_words(finding.todo, indent=4 * INDENT)
    if as_json:
        print_json(findings)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(ExitCode.FAILED)
