"""Shortens texts for messages and tables."""


def cut(text: str, longest: int) -> str:
    """Return the first `longest` characters of a text, with three dots if there are more.

    >>> cut("x" * 61, 60) == "x" * 60 + "..."
    True
    >>> cut("short", 60)
    'short'
    """
    return text if len(text) <= longest else f"{text[:longest]}..."
