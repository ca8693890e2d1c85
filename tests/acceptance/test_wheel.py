"""The wheel: what pip installs is whole, migrations and templates included."""

import email
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests import readings
from tests.processes import insert, make_table

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def requirements(wheel: Path) -> list[str]:
    """What the wheel asks for, torch left out: these commands must do without it.

    (Its build is the installer's choice, and where no CPU build is at hand it weighs gigabytes.)
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    wanted = metadata.get_all("Requires-Dist") or []
    return [r for r in wanted if "extra ==" not in r and not re.match(r"torch\b", r)]


def test_the_wheel_holds_migrations_templates_types_and_pages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "aemon/migrations/env.py" in names
    assert "aemon/migrations/versions/0001_first_schema.py" in names
    assert "aemon/migrations/versions/0002_lines_by_rate.py" in names
    for kind in ("templates/*.html", "static/*"):
        shown = {path.relative_to(ROOT).as_posix() for path in (ROOT / "aemon/web").glob(kind)}
        assert len(shown) > 3
        assert shown <= names
    assert "aemon/config/example.yaml" in names
    assert "aemon/py.typed" in names
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "aemon/docs").glob("*.md")}
    assert "aemon/docs/glossary.md" in pages
    assert pages <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_an_empty_environment_can_init_and_check_from_another_folder(wheel, tmp_path):
    home, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--constraint", str(ROOT / ".ci" / "constraints.txt")]
    subprocess.run([*pip, *requirements(wheel)], check=True, cwd=elsewhere)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, cwd=elsewhere)
    make_table(elsewhere / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(elsewhere / "plant.db", "readings", readings.rows(120))

    def run(*arguments: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [str(home / "bin" / "aemon"), *arguments],
            cwd=elsewhere, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("docs", "glossary") == (ROOT / "aemon/docs/glossary.md").read_text(encoding="utf-8")
    assert "wrote aemon.yaml" in run("init")
    checked = run("check")
    assert "flow" in checked
    assert "numeric" in checked
    run("db", "upgrade")
    assert "as expected" in run("db", "check")
