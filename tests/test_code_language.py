"""Docstrings, comments and messages of the code are in plain words, as the glossary has them."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.test_language import FORBIDDEN

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "aemon").rglob("*.py"))

# Beside those of documents: turns that are frequent in docstrings.
TURNS = {
    **FORBIDDEN,
    r"otherwise than|else than|others? than": "different from",
    r"no (sooner|later) than": "before, after",
    r"whichever|whatsoever|wherever|wherefore|whereby": "name it",
    r"heed(s|ed)?|hark": "apply, use",
    r"by and by|ere|nigh|save for": "a common word",
    r"to be had": "available",
    r"goes? on|went on": "continue",
    r"comes? to (be|pass)": "become, happen",
    r"such as (they|it) (is|are)": "unchanged",
    r"whose is": "the owner",
    r"learned from": "training (records)",
    r"what (of|for)": "which",
}
# Right where they stand.
ALLOWED_TURNS = {
    r"stretch|stretches",  # of operation: a name of the code
    r"odd|odder|oddest",
    r"outlier|outliers|contamination|datapoints?|incidents?",
}
NO_BEGINNING = re.compile(
    r"(It|That|This|Those|These|Others?|Ones?|Whoever|Who|Whose|What|Which|How|Whether|Where|When|"
    r"The|A|An|All|Every|Each|Some|None|No|Nothing|As|For|Of|By|In|With)\b"
)


class Text(NamedTuple):
    """A piece of text and where it stands."""

    line: int
    text: str


def texts_of(path: Path) -> Iterator[Text]:
    """Yield comments, docstrings and strings of a module; code in backquotes is left out."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Text(node.lineno, node.value)


def functions_of(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield functions that are no properties, with the first line of their docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {ast.unparse(one).split(".")[-1] for one in node.decorator_list}
        if (text := ast.get_docstring(node)) and not decorators & {"property", "cached_property"}:
            yield node, text.splitlines()[0]


def test_no_turn_of_the_old_dialect_is_back():
    turns = {turn: instead for turn, instead in TURNS.items() if turn not in ALLOWED_TURNS}
    any_turn = re.compile(rf"(?<![\w.-])(?:{'|'.join(turns)})(?![\w-])", re.IGNORECASE)
    found = [
        (str(path.relative_to(ROOT)), text.line, match[0], instead_of(match[0], turns))
        for path in MODULES
        for text in texts_of(path)
        for match in any_turn.finditer(re.sub(r"`[^`]*`", "", text.text))
    ]
    assert found == []


def instead_of(words: str, turns: dict[str, str]) -> list[str]:
    return [new for turn, new in turns.items() if re.fullmatch(turn, words, re.IGNORECASE)]


def test_a_function_begins_with_what_it_does():
    assert [
        (str(path.relative_to(ROOT)), node.lineno, node.name, line)
        for path in MODULES
        for node, line in functions_of(path)
        if NO_BEGINNING.match(line)
    ] == []
