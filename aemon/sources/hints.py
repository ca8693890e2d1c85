"""Words that the sources' error messages share."""

import difflib
from collections.abc import Iterable

_MOST_NAMES = 30  # a message stays readable


def there(names: Iterable[str], wanted: str) -> str:
    """What is there instead of `wanted`, the nearest name first.

    >>> there(["ts", "id"], "tss")
    'did you mean ts? There are: id, ts'
    >>> there([], "ts")
    'there are none'
    """
    known = sorted(names)
    if not known:
        return "there are none"
    by_letters = {name.lower(): name for name in known}
    near = [by_letters[name] for name in difflib.get_close_matches(wanted.lower(), by_letters, n=1)]
    listed = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"
