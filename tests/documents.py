"""The documents that users read: both READMEs, the pages of `aemon docs`, and their parts."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PAGES = {
    page.stem: page.read_text(encoding="utf-8")
    for page in sorted((ROOT / "aemon" / "docs").glob("*.md"))
}
DEPLOYMENT = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
TEXT = "\n".join([README, *PAGES.values()])
_CODE_SPAN = re.compile(r"`[^`]+`")


@dataclass(frozen=True)
class Parts:
    """A document, cut into what is held to different rules.

    Attributes:
        paragraphs: prose, a paragraph or an item of a list each; code spans are in it.
        rows: lines of tables.
        code: contents of code blocks, with their languages.
        headings: without their marks.
    """

    paragraphs: list[str]
    rows: list[str]
    code: list[tuple[str, str]]
    headings: list[str]


def parts_of(text: str) -> Parts:
    """Cut a document of ours: fenced code, tables, headings, paragraphs and lists."""
    parts = Parts([], [], [], [])
    code = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    parts.code.extend((match[1], match[2]) for match in code.finditer(text))
    fresh = True
    for line in code.sub("", text).splitlines():
        plain = line.strip()
        if plain.startswith("#"):
            parts.headings.append(plain.lstrip("# "))
        elif plain.startswith("|"):
            parts.rows.append(plain)
        elif plain and not fresh and not re.match(r"(-|\d+\.) ", plain):
            parts.paragraphs[-1] += f" {plain}"
        elif plain:
            parts.paragraphs.append(re.sub(r"^(-|\d+\.) ", "", plain))
        fresh = not plain or plain[0] in "#|"
    return parts


def blocks(language: str, text: str = TEXT) -> list[str]:
    """Return the code blocks of a language."""
    return [code for name, code in parts_of(text).code if name == language]


def without_code(prose: str) -> str:
    """Return prose with code spans as the word CODE, and links as their text."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", _CODE_SPAN.sub("CODE", prose))


def anchor_of(heading: str) -> str:
    """Return the name by which GitHub links to a heading."""
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
