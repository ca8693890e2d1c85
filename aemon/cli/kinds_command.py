"""`aemon kinds` and `aemon sources`: the kinds of detectors and of sources."""

from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.cli.printed_tables import INDENT, print_table, print_words
from aemon.errors import ConfigError

_MOST_DEFAULT = 16  # characters of a default in the table


def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of detectors, and what each kind does."""
    from aemon.operations.detector_listing import list_kinds

    listed = list_kinds()
    if as_json:
        print_json(listed)
    else:
        print_table(("kind", "what it does"), [(one.kind, one.summary) for one in listed])


def sources(
    kind: Annotated[str | None, typer.Argument(help="Only this kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the kinds of sources, also of installed packages, with their settings."""
    from aemon.operations.source_listing import list_sources
    from aemon.sources.source import there

    listed = list_sources()
    if kind is not None:
        shown = [one for one in listed if one.kind == kind]
        if not shown:
            known = there([one.kind for one in listed], kind)
            raise ConfigError(f"there is no source of kind {kind}", todo=known)
        listed = tuple(shown)
    if as_json:
        print_json(listed)
        return
    for number, one in enumerate(listed):
        if number:
            typer.echo()
        package = f" (package {one.package})" if one.package else ""
        typer.secho(f"{one.kind}{package}", bold=True)
        if one.problem:
            print_words(f"cannot be used: {one.problem}", indent=INDENT, colour="yellow")
            continue
        live = " A stream: its records are kept in the store's inbox." if one.live else ""
        print_words(one.summary + live, indent=INDENT)
        rows = [(key.key, _default(key.required, key.default), key.description) for key in one.keys]
        print_table(("key", "default", "meaning"), rows)


def _default(required: bool, default: object) -> str:
    if required:
        return "required"
    text = (
        ""
        if default is None
        else str(default).lower()
        if default in (True, False)
        else str(default)
    )
    return text if len(text) <= _MOST_DEFAULT else text[: _MOST_DEFAULT - 1] + "…"
