"""Limits for a configuration file: it must be a plain file of limited size and depth."""

import re
from pathlib import Path

import yaml

from aemon.errors import ConfigError
from aemon.plain_files import why_not_plain
from aemon.texts import cut

MOST_BYTES = 10_000_000  # of a configuration: enough for tens of thousands of monitors
MOST_SECRET_BYTES = 1_000_000  # of a file that `${file:...}` names
MOST_DEPTH = 50
MOST_VALUES = 300_000  # maximum number of values; the values of an alias count at each use
_SHOWN = re.compile(r"<[a-z ]+>|.{0,3}", re.DOTALL)


def read_bounded(path: Path, most: int) -> bytes:
    """Return the content of a plain file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the path is not valid, is not a plain file, or the file has more than `most`
            bytes.
    """
    if "\0" in str(path):
        raise ValueError("a path may not have a NUL character")
    if path.is_dir():
        raise IsADirectoryError
    if why := why_not_plain(path):
        raise ValueError(why)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"is larger than {most:,} bytes")
    return content


def check_depth(text: str, name: str) -> None:
    """Check that a document is not nested deeper than `MOST_DEPTH` levels.

    Raises:
        ConfigError: the document is nested too deep; the message names the line.
        YAMLError: the text is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{name}:{line}: nested deeper than {MOST_DEPTH} levels")


def size_when_merged(node: yaml.MappingNode, merge_tag: str, around: tuple[int, ...] = ()) -> int:
    """Return the number of keys of a mapping, including the keys of mappings merged by `<<`.

    Raises:
        ValueError: a mapping is merged into itself.
    """
    if id(node) in around:
        raise ValueError("`<<` names a mapping that contains this `<<`")
    total = len(node.value)
    for key, value in node.value:
        if key.tag == merge_tag:
            for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(item, yaml.MappingNode) and total <= MOST_VALUES:
                    total += size_when_merged(item, merge_tag, (*around, id(node)))
    return total


def without_names(problem: str) -> str:
    """Return an error message of PyYAML with its quoted texts replaced by `...`.

    A quoted text may be a password in the wrong place. Texts of up to three characters and names
    of tokens, such as `<scalar>`, are not replaced.

    >>> without_names("found undefined alias 'hunter2'")
    "found undefined alias '...'"
    >>> without_names("expected <block end>, but found '<scalar>'")
    "expected <block end>, but found '<scalar>'"
    """
    return re.sub(
        r"(['\"])(.*?)\1",
        lambda found: found[0] if _SHOWN.fullmatch(found[2]) else f"{found[1]}...{found[1]}",
        problem,
        flags=re.DOTALL,
    )


_MOST_SHOWN = 80  # maximum characters of a path in a message


def path_shown(path: Path) -> str:
    r"""Return a path for messages: a long path is cut, unprintable characters are escaped.

    >>> path_shown(Path("secret.txt")), path_shown(Path("a\0b"))
    ('secret.txt', "'a\\x00b'")
    """
    text = cut(str(path), _MOST_SHOWN)
    return text if text.isprintable() else repr(text)
