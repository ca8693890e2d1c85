"""The shape of the code: sizes and names, so that it stays a pleasure to read."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "aemon").rglob("*.py"))
MOST_LINES = 350
MEDIAN_LINES = 130
MOST_MODULES = 25
MOST_LINES_OF_A_FUNCTION = 60
MOST_PARAMETERS = 6
# scikit-learn and typer read options from the signature: as many as there are to give.
SIGNATURES_OF_OTHERS = ("aemon/estimator.py", "aemon/cli/")
ROOMS_OF_KINDS = {"aemon/sources"}  # each of their folders is one kind, with files of equal names
FORBIDDEN_FILES = {"utils", "helpers", "common", "core", "models", "misc", "tools"}
# The glossary's "not" column, as far as a name can be held to it.
FORBIDDEN_WORDS = {
    "dataframe_", "contamination", "outlier", "outliers", "latent", "checkpoint", "pickle",
    "connector", "datapoint", "instance", "embedding", "incident", "ground_truth",
}  # fmt: skip


@cache
def tree_of(path: Path) -> ast.Module:
    """The module as a syntax tree, parsed once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


def names_in(path: Path) -> set[str]:
    tree = tree_of(path)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def failing(check: Callable[[Path], Any]) -> dict[str, Any]:
    """Return what a check finds, by module: one test looks at all modules, for there are many."""
    found = {str(path.relative_to(ROOT)): check(path) for path in MODULES}
    return {module: what for module, what in found.items() if what}


def test_a_module_fits_in_a_head():
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: size for path, size in sizes.items() if size > MOST_LINES} == {}


def test_half_of_the_modules_are_short():
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    assert sizes[len(sizes) // 2] <= MEDIAN_LINES


def test_no_module_is_a_drawer_for_anything():
    assert not [path for path in MODULES if path.stem in FORBIDDEN_FILES]


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = tree_of(path)
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_function_fits_on_a_screen():
    def long(path: Path) -> dict[str, int]:
        return {
            function.name: lines
            for function in functions_of(path)
            if (lines := function.end_lineno - function.lineno + 1) > MOST_LINES_OF_A_FUNCTION
        }

    assert failing(long) == {}


def test_a_call_can_be_remembered():
    def crowded(path: Path) -> dict[str, int]:
        if str(path.relative_to(ROOT)).startswith(SIGNATURES_OF_OTHERS):
            return {}
        found = {}
        for function in functions_of(path):
            given = function.args
            names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            if len([name for name in names if name not in ("self", "cls")]) > MOST_PARAMETERS:
                found[function.name] = len(names)
        return found

    assert failing(crowded) == {}


def test_a_folder_can_be_looked_over():
    modules = Counter(str(path.parent.relative_to(ROOT)) for path in MODULES)
    assert {folder: count for folder, count in modules.items() if count > MOST_MODULES} == {}


def test_a_module_is_known_by_its_name():
    names = Counter(
        path.stem
        for path in MODULES
        if not path.stem.startswith("__")
        and str(path.parent.parent.relative_to(ROOT)) not in ROOMS_OF_KINDS
    )
    assert [name for name, count in names.items() if count > 1] == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


KNOWN = {module_of(path) for path in MODULES}


@cache
def imports_of(path: Path) -> set[str]:
    """The modules of ours that one imports, also within functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (within & KNOWN) or {node.module}
    return found & KNOWN


def layer_of(module: str, layers: list[str]) -> int | None:
    for height, layer in enumerate(layers):
        for room in layer.split(" | "):
            if module == room or module.startswith(f"{room}."):
                return height
    return None


def test_no_import_goes_up():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    upward = []
    for path in MODULES:
        mine = layer_of(module_of(path), layers)
        if mine is None:  # the package itself, and `python -m aemon`
            assert path.parent == ROOT / "aemon"
            continue
        for imported in imports_of(path):
            theirs = layer_of(imported, layers)
            if theirs is not None and theirs < mine:
                upward.append(f"{module_of(path)} -> {imported}")
    assert upward == []


def test_no_import_leads_back():
    graph = {module_of(path): imports_of(path) for path in MODULES}
    list(TopologicalSorter(graph).static_order())  # CycleError names the modules of a cycle


def test_names_are_the_glossarys():
    def forbidden(path: Path) -> set[str]:
        words = {word for name in names_in(path) for word in re.findall(r"[a-z]+", name.lower())}
        return words & FORBIDDEN_WORDS

    assert failing(forbidden) == {}


def test_nothing_is_pickled_or_evaluated():
    def unsafe(path: Path) -> set[str]:
        nodes = list(ast.walk(tree_of(path)))
        imports = [node for node in nodes if isinstance(node, ast.Import)]
        imported = {alias.name.split(".")[0] for node in imports for alias in node.names}
        imported |= {
            node.module.split(".")[0]
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module
        }
        called = {
            node.func.id
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        pickles = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
        return imported & pickles | called & {"eval", "exec"}

    assert failing(unsafe) == {}


def test_the_top_level_holds_what_was_agreed():
    import subprocess

    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    agreed = {
        "pyproject.toml", "README.md", "aemon", "migrations", "tests", "deploy", "Makefile",
        "CHANGELOG.md", "LICENSE",
    }  # fmt: skip
    assert top <= agreed
