"""Finds and searches the pages of the documentation, which are installed with aemon."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from aemon.errors import UnknownTopicError

_MOST_NEAR = 3  # topics proposed for a topic that does not exist


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of the documentation.

    Attributes:
        topic: name of the page on the command line, such as `thresholds`.
        title: the first heading.
        summary: the subject of the page, in one sentence.
        text: the whole page, as Markdown.
    """

    topic: str
    title: str
    summary: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A line of a page that contains the searched word.

    Attributes:
        topic: name of the page.
        section: the heading that the line belongs to.
        text: the line.
    """

    topic: str
    section: str
    text: str


@cache
def list_pages() -> tuple[Page, ...]:
    """Return all pages in the order of their topics."""
    folder = files("aemon").joinpath("docs")
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".md"))
    return tuple(
        _page(name.removesuffix(".md"), folder.joinpath(name).read_text(encoding="utf-8"))
        for name in names
    )


def find_page(topic: str) -> Page:
    """Return the page of a topic; letter case, spaces and `.md` at the end do not matter.

    Raises:
        UnknownTopicError: there is no such page.
    """
    pages = {page.topic: page for page in list_pages()}
    plain = re.sub(r"[\s_]+", "-", topic.strip().lower()).removesuffix(".md")
    if plain in pages:
        return pages[plain]
    near = [name for name in pages if plain and plain in name][:_MOST_NEAR]
    near = near or get_close_matches(plain, pages, n=_MOST_NEAR)
    listed = "`aemon docs` lists all topics"
    raise UnknownTopicError(
        f"there is no page about {topic!r}",
        todo=f"did you mean {' or '.join(near)}? {listed}" if near else listed,
    )


def search_pages(word: str) -> tuple[Found, ...]:
    """Return each line of the pages that contains a word or phrase; letter case does not matter.

    Raises:
        UnknownTopicError: no page contains the word or phrase.
    """
    plain = " ".join(word.lower().split())
    found = tuple(
        Found(topic=page.topic, section=section, text=line)
        for page in list_pages()
        for section, line in _lines(page.text)
        if plain and plain in line.lower()
    )
    if not found:
        raise UnknownTopicError(
            f"no page contains {word!r}", todo="try a shorter word; `aemon docs` lists all topics"
        )
    return found


def _page(topic: str, text: str) -> Page:
    """Return a page with the first line of its text as title, the next sentence as summary."""
    heading, summary = text.split("\n\n", maxsplit=2)[:2]
    return Page(
        topic=topic,
        title=heading.removeprefix("# ").strip(),
        summary=re.split(r"(?<=\.) (?=[A-Z])", " ".join(summary.split()))[0],
        text=text,
    )


def _lines(text: str) -> Sequence[tuple[str, str]]:
    """Return pairs (section, line) of a page.

    A paragraph becomes one line; lines of code stay separate.
    """
    section, lines, parts = "", [], list[str]()
    in_code = False

    def end() -> None:
        if parts:
            lines.append((section, " ".join(parts)))
            parts.clear()

    for line in text.splitlines():
        fence = line.startswith("```")
        plain = line.strip()
        if in_code or fence or not plain or plain[0] in "#|" or plain.startswith("- "):
            end()
        if fence:
            in_code = not in_code
        elif in_code or plain.startswith("|"):
            lines.append((section, plain))
        elif plain.startswith("#"):
            section = plain.lstrip("# ")
            lines.append((section, section))
        elif plain:
            parts.append(plain)
    end()
    return lines
