"""The documentation as HTML: Markdown without raw HTML, with links between the pages."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

_PAGE = re.compile(r"^(?:\./|aemon/docs/)?([a-z0-9-]+)\.md(#.*)?$")


@cache
def to_html(text: str) -> Markup:
    """Return a page of the documentation as HTML; raw HTML in it becomes text."""
    parser = _parser()
    tokens = parser.parse(text)
    _name_headings(tokens)
    for token in tokens:
        _lead_to_pages(token.children or ())
    html = str(parser.renderer.render(tokens, parser.options, {}))
    html = html.replace("<pre>", '<pre tabindex="0">')
    html = html.replace(
        "<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
    )
    html = html.replace("</table>", "</table></div>")
    return Markup(html)  # noqa: S704 -- made by the parser, without raw HTML


@cache
def outline(text: str) -> tuple[tuple[str, str], ...]:
    r"""Return (anchor, heading) of each section of a page.

    >>> outline("# Thresholds\n\n## How they move\n")
    (('how-they-move', 'How they move'),)
    """
    tokens = _parser().parse(text)
    _name_headings(tokens)
    return tuple(
        (str(token.attrGet("id")), _text_of(tokens[at + 1]))
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2"
    )


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _name_headings(tokens: list[Any]) -> None:
    """Give each heading an anchor, as forges do."""
    seen: dict[str, int] = {}
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", _text_of(tokens[at + 1]).lower()).replace(" ", "-")
            count = seen[words] = seen.get(words, -1) + 1
            token.attrSet("id", f"{words}-{count}" if count else words)


def _lead_to_pages(children: Iterable[Any]) -> None:
    """Let links lead to pages of the daemon; links to files beside the pages become text."""
    kept = True
    for child in children:
        if child.type == "link_open":
            address = _address(str(child.attrGet("href")))
            kept = address.startswith(("#", "/", "http"))
            child.attrs = {"href": address} if kept else {}
        if child.type in ("link_open", "link_close") and not kept:
            child.tag = "span"


def _text_of(inline: Any) -> str:
    return "".join(child.content for child in inline.children or ())


def _address(href: str) -> str:
    """Return where a link of a page leads among the pages of the daemon.

    >>> _address("thresholds.md#bounds"), _address("#here"), _address("https://example.org")
    ('/docs/thresholds#bounds', '#here', 'https://example.org')
    """
    found = _PAGE.match(href)
    return f"/docs/{found[1]}{found[2] or ''}" if found else href
