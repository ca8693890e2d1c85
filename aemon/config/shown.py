"""Parts of a configuration that messages may show: known keys and plain names, never secrets."""

import difflib
import re

from aemon.config.values.scalars import Settings
from aemon.message import EXAMPLE

HIDDEN = "***"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LONGEST_NAME = 40
_SHOWN_NAMES = ("monitors", "notify")  # names under these keys are public in pages and metrics
_WORD = re.compile(r"[a-z][a-z_-]{0,19}")  # a name that cannot be a token
_HEADER = re.compile(
    r"[A-Z][A-Za-z]{0,14}(-[A-Z][A-Za-z]{0,14}){1,3}|[A-Z][a-z]{1,9}"
)  # such as X-Frame-Options
_NEAR = 0.75  # least similarity of two words, as a share of their letters
_SHORT = 3  # characters; a shorter text is not a secret
_NAMES_OF_PEOPLE = ("basic_auth_users", "bearer_tokens", "permissions", "units", "kinds")
_LETTERS = re.compile(r"\w{5,}")
_LONGEST_VALUE = 40
_QUOTED = re.compile(r"(?<!\w)(['\"])(.*?)\1", re.DOTALL)


def key_shown(path: tuple[str | int, ...]) -> str:
    """Return a key for messages; parts that are not known keys or plain names are hidden.

    >>> key_shown(("monitors", "pumps", "source", "url"))
    'monitors.pumps.source.url'
    >>> key_shown(("monitors", "pumps", "postgresql://me:hunter2@host/db"))
    'monitors.pumps.***'
    """
    return ".".join(_part_shown(path, at) for at in range(len(path)))


def _part_shown(path: tuple[str | int, ...], at: int) -> str:
    part = path[at]
    if isinstance(part, int):
        return str(part)
    if len(part) <= _SHORT or is_near_a_key(part):
        return part
    plain = _NAME.fullmatch(part) is not None and len(part) <= _LONGEST_NAME
    if at == 1 and path[0] in _SHOWN_NAMES and plain:
        return part
    around = path[at - 1] if at else ""
    if around == "headers" and _HEADER.fullmatch(part) is not None:
        return part
    return part if around in _NAMES_OF_PEOPLE and _WORD.fullmatch(part) else HIDDEN


def is_near_a_key(word: str) -> bool:
    """Return whether a word equals or resembles a key, so that the word cannot be a secret."""
    known = _known_keys()
    if word in known:
        return True
    if re.fullmatch("[a-z_]{4,30}", word) is None:
        return False
    return any(key.startswith(word) for key in known) or bool(
        difflib.get_close_matches(word, known, n=1, cutoff=_NEAR)
    )


def without_values(problem: str) -> str:
    """Return the text of a problem with its quoted value hidden, unless the value is harmless.

    >>> without_values("'61 * * * *': '61' is not within 0 to 59")
    "'61 * * * *': '61' is not within 0 to 59"
    >>> without_values("'hunter2' is not a duration")
    "'***' is not a duration"
    """
    return _QUOTED.sub(lambda found: f"{found[1]}{_value_shown(found[2])}{found[1]}", problem)


def _value_shown(text: str) -> str:
    harmless = len(text) <= _LONGEST_VALUE and all(
        word.isdigit() for word in _LETTERS.findall(text)
    )
    return text if harmless or is_near_a_key(text) else HIDDEN


def _known_keys() -> set[str]:
    """Return all keys of configurations, and the variables of templates."""
    keys, kinds = set(EXAMPLE.variables()), [Settings]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        for name, field in kind.model_fields.items():
            keys |= {name, field.alias or name}
    return keys
