"""A YAML document as plain data, with the line of every key and with `${...}` replaced."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from aemon.config.bounded_yaml import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_SECRET_BYTES,
    MOST_VALUES,
    check_depth,
    path_shown,
    read_bounded,
    size_when_merged,
    without_names,
)
from aemon.config.shown import key_shown
from aemon.errors import ConfigError
from aemon.texts import cut

KeyPath = tuple[str | int, ...]
"""The place of a value in a document: `("monitors", "pumps", "score_every")`."""

_INIT = "`aemon init` writes a configuration; `-c FILE` names another file"
_MOST_NAMED = 100  # maximum characters of a name in a message
_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_REFERENCE = re.compile(r"\$(\$\{)|\$\{([^}]*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The content of a YAML file, and the line of each key.

    Attributes:
        name: path of the file as the user wrote it.
        data: keys and values of the file.
        lines: path of a key -> its line, counted from 1; the path `()` is the document itself.
    """

    name: str
    data: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """Return the line of a key; if the file lacks the key, the line of the enclosing key."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def value(self, path: KeyPath) -> object:
        """Return the value at a path; None if the document has no value there."""
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def read_document(path: Path, env: Mapping[str, str], *, todo: str = _INIT) -> Document:
    """Read a YAML file and replace `${...}` in its text; keys and values are not validated.

    `todo` is the advice in the error for a file that does not exist or is empty.

    Raises:
        ConfigError: the file cannot be read, is not YAML, is empty, repeats a key, or refers to
            a missing variable or file.
    """
    text = _read_text(path, todo)
    try:
        check_depth(text, str(path))
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(f"{path}: the file is empty", todo=todo)
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}:1: expected `key: value` lines, such as `monitors:`")
        return _Reader(path, env, loader).read(node)
    except yaml.MarkedYAMLError as error:
        # str(error) would quote the line, which may contain a password.
        mark = error.problem_mark or error.context_mark
        number = mark.line + 1 if mark else 1
        raise ConfigError(
            f"{path}:{number}: {without_names(str(error.problem or error.context))}",
            todo=_syntax_hint(text, number),
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {getattr(error, 'reason', 'unreadable')}") from None


def _read_text(path: Path, todo: str) -> str:
    try:
        return read_bounded(path, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", todo=todo) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder", todo="name the file inside it") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", todo="save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _syntax_hint(text: str, number: int) -> str:
    lines = text.splitlines()[max(number - 2, 0) : number]
    if any("\t" in line for line in lines):
        return "indent with spaces: YAML allows no tabs for indentation"
    if any("${" in line for line in lines):
        return 'put text with ${...} in quotes inside { }: {url: "${NAME}"}'
    return "check colons, quotes and indentation on this line and the one before"


class _Reader:
    """The reader of one document: it converts YAML nodes to plain data."""

    def __init__(self, path: Path, env: Mapping[str, str], loader: yaml.SafeLoader) -> None:
        self._path = path
        self._env = env
        self._loader = loader
        self._lines: dict[KeyPath, int] = {(): 1}
        self._values = 0  # number of values; values of an alias count at each use
        self._replaced = 0  # number of characters inserted for references
        self._files: dict[Path, str] = {}
        self._inside: set[int] = (
            set()
        )  # nodes that contain the current node; no alias may name them

    def read(self, root: yaml.MappingNode) -> Document:
        data = self._mapping(root, ())
        return Document(name=str(self._path), data=data, lines=self._lines)

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self._values += 1
        if self._values > MOST_VALUES or len(path) > MOST_DEPTH:
            self._fail(
                node,
                path[:MOST_DEPTH],
                f"more than {MOST_VALUES:,} values, or deeper than "
                f"{MOST_DEPTH} levels, aliases included",
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._inside:
            self._fail(node, path, "an alias refers to a node that contains it")
        self._inside.add(id(node))
        value: dict[str, Any] | list[Any]
        if isinstance(node, yaml.MappingNode):
            value = self._mapping(node, path)
        else:
            value = self._sequence(node, path)
        self._inside.discard(id(node))
        return value

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        for index, item in enumerate(node.value):
            self._lines[*path, index] = item.start_mark.line + 1
        return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, path, "a key must be plain text")
            if key.tag != _MERGE and key.value in own:
                here = (*path, key.value)
                self._fail(key, here, f"written twice; first on line {own[key.value]}")
            own[key.value] = key.start_mark.line + 1
        try:
            merged = size_when_merged(node, _MERGE)
        except ValueError as error:
            self._fail(node, path, str(error))
        if merged > MOST_VALUES:
            self._fail(node, path, f"more than {MOST_VALUES:,} keys, including keys of `<<`")
        self._loader.flatten_mapping(node)  # keys from `<<` come first; own keys override them
        for key, _ in node.value:
            self._lines[*path, key.value] = key.start_mark.line + 1
        return {key.value: self._value(value, (*path, key.value)) for key, value in node.value}

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        if node.tag == _STRING:
            text = _REFERENCE.sub(lambda match: self._bounded(match, node, path), node.value)
            if "\0" in text:
                self._fail(node, path, "has a NUL character, which no text, path or name may have")
            return text
        try:
            return self._loader.construct_object(node)
        except yaml.YAMLError:
            raise
        except Exception:  # noqa: BLE001 -- with a tag, PyYAML raises any error of its constructors
            self._fail(node, path, "not a number, time or other value of YAML; put text in quotes")

    def _bounded(self, match: re.Match[str], node: yaml.Node, path: KeyPath) -> str:
        text = self._replace(match, node, path)
        self._replaced += len(text)
        if self._replaced > MOST_BYTES:
            self._fail(node, path, f"more than {MOST_BYTES:,} characters after replacing ${{...}}")
        return text

    def _replace(self, match: re.Match[str], node: yaml.Node, path: KeyPath) -> str:
        if match[1]:
            return match[1]
        if match[2].startswith("file:"):
            return self._file(Path(match[2].removeprefix("file:")), node, path)
        variable = _VARIABLE.fullmatch(match[2])
        if variable is None:
            self._fail(node, path, "write a reference as ${NAME}, ${NAME:-default} or ${file:PATH}")
        name, default = variable.groups()
        value = self._env.get(name) or default if default is not None else self._env.get(name)
        if value is None:
            self._fail(node, path, f"the environment variable {cut(name, _MOST_NAMED)} is not set")
        return value

    def _file(self, file: Path, node: yaml.Node, path: KeyPath) -> str:
        if file in self._files:
            return self._files[file]
        shown = path_shown(file)
        try:
            content = read_bounded(self._path.parent / file, MOST_SECRET_BYTES)
            self._files[file] = content.decode("utf-8").strip()
        except UnicodeDecodeError:
            self._fail(node, path, f"{shown} is not UTF-8 text")
        except OSError as error:
            self._fail(node, path, f"cannot read {shown}: {error.strerror or 'it is a folder'}")
        except ValueError as error:
            self._fail(node, path, f"cannot read {shown}: {error}")
        return self._files[file]

    def _fail(self, node: yaml.Node, path: KeyPath, problem: str) -> NoReturn:
        key = key_shown(path)
        line = node.start_mark.line + 1
        raise ConfigError(
            f"{self._path}:{line}: {key}: {problem}" if key else f"{self._path}:{line}: {problem}"
        )
