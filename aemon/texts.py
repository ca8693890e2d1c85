"""Texts that are too long for where they are shown."""


def cut(text: str, longest: int) -> str:
    """Return a text of at most so many characters; three dots say that there was more.

    >>> cut("x" * 61, 60) == "x" * 60 + "..."
    True
    >>> cut("short", 60)
    'short'
    """
    return text if len(text) <= longest else f"{text[:longest]}..."
