"""README, changelog and pages are in plain words: short sentences, the field's nouns, no dialect.

The rules are those of the glossary (`aemon/docs/glossary.md`).
"""

import re

import pytest

from tests.documents import CHANGELOG, DEPLOYMENT, PAGES, README, parts_of, without_code

MOST_WORDS = 30  # of a sentence
DOCUMENTS = {"README": README, "CHANGELOG": CHANGELOG, "deploy/README": DEPLOYMENT, **PAGES}
# Words and turns, and what to write in their place.
FORBIDDEN = {
    r"tells?|told|telling": "report, notify, show, say",
    r"whoever|whomever|whatever becomes": "name who: the user, a replica, a receiver",
    r"nobody|somebody": "no receiver, a person",
    r"anew": "again",
    r"is another|are others( now)?": "changed",
    r", for (it|he|they|there|this|what|nobody|somebody)": "because",
    r"of late|seldom|henceforth|thereof|lest|thrice|hither|albeit": "a common word",
    r"so (much|many|long)(?! as)": "a number, or how much",
    r"(?<!there )(?:is|are) no (?!longer\b)\w+": "is not a",
    r"normal life|life (has )?(moved|drifted|moves)": "normal data",
    r"(the|a|its|their|decision|above|over|below|under|second) lines? (is|are|was|were|rises?|lies?)": "threshold",
    r"(over|above|below|under) (the|its|their) lines?": "threshold",
    r"draw(s|n|ing)? (a |the )?(lines?|thresholds?)": "compute the threshold",
    r"taken? up|takes? (it |that |things )?up|taking (it )?up": "use, acknowledge",
    r"(was|were|is|things) said( of)?": "feedback",
    r"odd|odder|oddest": "unusual",
    r"bears?|borne": "has, withstands",
    r"but for": "except",
    r"as far as": "if, up to",
    r"hears? of": "is notified of",
    r"mends?|mended": "repair",
    r"stretch|stretches": "period, part",
    r"hush|hushed": "suppress",
    r"teach|teaches": "is learned, is left out of training",
    r"lessons?": "training set",
    r"stands still": "is not running, sends nothing",
    r"outlier|outliers|contamination|datapoints?|incidents?": "the glossary's word",
}
ALLOWED = {
    ("glossary", "rows"),  # its last column is the words to avoid
}


def _texts(name: str) -> list[str]:
    """Return prose, headings and table rows of a document."""
    parts = parts_of(DOCUMENTS[name])
    return [*parts.paragraphs, *parts.headings, *([] if (name, "rows") in ALLOWED else parts.rows)]


def _sentences(paragraph: str) -> list[str]:
    """Split a paragraph where a sentence ends: a mark, a space, and a capital or code."""
    plain = without_code(paragraph).replace("**", "")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\"*(]|aemon\b)", plain)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_sentence_is_long(name):
    long = [
        (len(words), sentence)
        for paragraph in parts_of(DOCUMENTS[name]).paragraphs
        for sentence in _sentences(paragraph)
        if len(words := re.findall(r"\w[\w'/.-]*", sentence)) > MOST_WORDS
    ]
    assert long == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_turn_of_the_old_dialect_is_back(name):
    found = [
        (match[0], instead, text[:120])
        for turn, instead in FORBIDDEN.items()
        for text in map(without_code, _texts(name))
        for match in re.finditer(rf"(?<![\w-])(?:{turn})(?![\w-])", text, re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_paragraph_begins_with_a_pronoun(name):
    pronouns = r"(It|That|Those|Others|One|Whoever|What (?!is\b|are\b)[a-z]+)\b"
    found = [
        paragraph[:80]
        for paragraph in parts_of(DOCUMENTS[name]).paragraphs
        if re.match(pronouns, without_code(paragraph))
    ]
    assert found == []


def test_the_test_of_sentences_sees_a_long_one():
    words = " ".join(["word"] * (MOST_WORDS + 1))
    assert [len(one.split()) for one in _sentences(f"Short. {words.capitalize()}. End.")] == [
        1, MOST_WORDS + 1, 1,
    ]  # fmt: skip
