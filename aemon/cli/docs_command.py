"""`aemon docs`: the pages of the documentation in the terminal."""

import re
import sys
from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.cli.printed_tables import print_table

_MOST_WIDTH = 100  # characters in a line of text: longer lines are hard to read
_PAGE_LINK = re.compile(r"\[([^\]]+)\]\(([a-z0-9-]+)\.md(?:#[^)]*)?\)")


def docs(
    topic: Annotated[
        str | None, typer.Argument(help="The page to print; without a page, the topics are listed.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="List the lines of all pages that contain this word.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a page of the documentation, list the topics, or search the pages.

    The pages describe the installed version. In a pipe, a page is printed as
    Markdown.
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
