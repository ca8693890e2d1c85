"""`aemon docs`, `aemon kinds` and `aemon sources`: the reference of the installed version."""

import re
import sys
from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.cli.printed_tables import INDENT, print_table, print_words
from aemon.errors import ConfigError

_MOST_WIDTH = 100  # characters in a line of text: longer lines are hard to read
_PAGE_LINK = re.compile(r"\[([^\]]+)\]\(([a-z0-9-]+)\.md(?:#[^)]*)?\)")
_MOST_DEFAULT = 16  # characters of a default in the table


def docs(
    topic: Annotated[
        str | None, typer.Argument(help="The page to print; without it, all topics.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="List the lines of all pages that contain this word.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a page of the documentation, list the topics, or search the pages.

    The pages are those of the installed version. In a pipe, a page is printed
    as Markdown.
    """
    from aemon.operations.reference_pages import find_page, list_pages, search_pages

    if topic is not None and search is not None:
        raise typer.BadParameter("give a topic or --search, not both", param_hint="--search")
    if search is not None:
        found = search_pages(search)
        if as_json:
            print_json(found)
        else:
            rows = [(one.topic, one.section, one.text) for one in found]
            print_table(("topic", "section", "text"), rows)
    elif topic is not None:
        page = find_page(topic)
        if as_json:
            print_json(page)
        elif sys.stdout.isatty():
            _print_formatted(page.text)
        else:
            typer.echo(page.text, nl=False)
    elif as_json:
        print_json([{"topic": page.topic, "summary": page.summary} for page in list_pages()])
    else:
        print_table(
            ("topic", "what it is about"), [(page.topic, page.summary) for page in list_pages()]
        )


def _print_formatted(text: str) -> None:
    """Print Markdown for a terminal; a link to a page becomes the command that prints the page."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(
        Markdown(_PAGE_LINK.sub(r"\1 (`aemon docs \2`)", text), hyperlinks=False),
        width=min(console.width, _MOST_WIDTH),
    )


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
