"""The page about the architecture says what is so: packages, imports, and files it names."""

import inspect
import re
import tomllib

from aemon.monitoring.judging import Judge
from tests.documents import PAGES, ROOT
from tests.test_shape import MODULES, imports_of, module_of

ROW = re.compile(r"^\| `aemon\.(\w+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
DRAWN = re.compile(r"^[ |]{1,4}[\w.()<>, +-]*?  +((?:\w+/)+[\w<>./]*)", re.MULTILINE)


def packages() -> dict[str, set[str]]:
    """The packages of aemon, with those that each imports."""
    rows = ROW.findall(PAGES["architecture"])
    return {
        name: set(re.findall(r"\w+", listed.replace("only the base", ""))) for name, listed in rows
    }


def test_the_table_lists_what_each_package_imports():
    listed = packages()
    imported: dict[str, set[str]] = {name: set() for name in listed}
    for path in MODULES:
        name = [*module_of(path).split("."), ""][1]
        if name in listed:
            theirs = {module.split(".")[1] for module in imports_of(path) if "." in module}
            imported[name] |= (theirs & set(listed)) - {name}
    assert listed == imported


def test_the_table_is_in_the_order_of_the_layers():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    height = {
        room.removeprefix("aemon."): number
        for number, layer in enumerate(layers)
        for room in layer.split(" | ")
    }
    order = [height[name] for name in packages()]
    assert order == sorted(order)
    folders = {path.parent.name for path in (ROOT / "aemon").glob("*/__init__.py")}
    assert folders - set(packages()) == {"times"}  # of the base


def test_every_file_that_the_page_names_exists():
    named = set(re.findall(r"`([\w/]+\.(?:py|yaml))`", PAGES["architecture"])) - {"aemon.yaml"}
    named |= set(re.findall(r"`((?:tests/)?\w+/[\w/]*)`", PAGES["architecture"]))
    named |= {path for path in DRAWN.findall(PAGES["architecture"]) if "<" not in path}
    assert len(named) > 20
    for name in named:
        homes = (ROOT, ROOT / "aemon", ROOT / "aemon/sources/sql", ROOT / "aemon/notify/receivers")
        kinds = ROOT / "aemon/detection/autoencoders/kinds"
        assert any((home / name).exists() for home in (*homes, kinds)), name


def test_the_transaction_is_drawn_in_its_order():
    """The box of the diagram has the calls of `Judge._commit`, from the top to the bottom."""
    source = inspect.getsource(Judge._commit)
    (box,) = re.findall(
        r"^ \+-- store\.commit.*?^ \+-----", PAGES["architecture"], re.MULTILINE | re.DOTALL
    )
    drawn = re.findall(r"^ \|   ([\w.]+) ", box, re.MULTILINE)
    calls = [name for name in drawn if name != "move"]
    places = [source.index(f"{name}(") for name in calls]
    assert len(places) >= 8
    assert places == sorted(places)
