"""Two replicas on one PostgreSQL get a new version one after the other, as deploy/README.md says."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.replicas import NAMES

pytestmark = [pytest.mark.acceptance, pytest.mark.postgresql]
ROOT = Path(__file__).resolve().parents[2]
NEW = "9.9.9"
# The pause between two ticks is 0.5 s. Whoever ends hands over at once, and the other takes up.
MOST_SECONDS_UNSCORED = 8.0
NEXT_SCHEMA = '''
"""What a later version adds."""

import sqlalchemy as sa
from alembic import op

revision = "{next}"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.add_column("scores", sa.Column("mood", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("scores", "mood")
'''


@dataclass(frozen=True)
class Version:
    """Another version of aemon, in a folder of its own."""

    folder: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command that makes a Python one of it."""
        return ("env", f"--chdir={self.folder}", f"PYTHONPATH={self.folder}")

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*self.prefix, sys.executable, "-m", "aemon", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def copied(folder: Path) -> Version:
    """The next version: what there is, under another number."""
    for name in ("aemon", "migrations"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    init = folder / "aemon" / "__init__.py"
    init.write_text(re.sub(r'(__version__ = )".*"', rf'\1"{NEW}"', init.read_text()))
    return Version(folder)


def with_a_schema_of_its_own(version: Version) -> None:
    schema = version.folder / "aemon" / "store" / "schema" / "revisions.py"
    text = schema.read_text()
    (head,) = re.findall(r'^HEAD_REVISION = "(\d+)"', text, re.MULTILINE)
    after = f"{int(head) + 1:04}"
    schema.write_text(text.replace(f'HEAD_REVISION = "{head}"', f'HEAD_REVISION = "{after}"'))
    migration = version.folder / "migrations" / "versions" / f"{after}_mood.py"
    migration.write_text(NEXT_SCHEMA.format(next=after, head=head).lstrip())


def versions(several) -> list[str]:
    """Of the replicas that live."""
    rows = several.plant.ask("SELECT version FROM replicas ORDER BY version")
    return [version for (version,) in rows]


def replace(several, old, name: str, version: Version):
    """In compose's order: the old one is told to end and is awaited, then the new one starts."""
    assert old.stop() < 10
    return several.start(name, prefix=version.prefix)


def longest_unscored(several) -> float:
    """The longest pause of any monitor between two commits of verdicts, in seconds."""
    ((seconds,),) = several.plant.ask(
        "SELECT extract(epoch FROM max(pause)) FROM ("
        " SELECT scored_at - lag(scored_at) OVER (PARTITION BY monitor ORDER BY scored_at) AS pause"
        " FROM scores) pauses"
    )
    return float(seconds)


def test_replicas_are_upgraded_one_by_one_without_a_gap(several, tmp_path):
    new = copied(tmp_path / "new")
    one, two = several.start("one"), several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    several.goes_on()
    # When one after the other gets the new version, while records come in
    replace(several, one, "one-anew", new)
    several.until(lambda: several.shared_by("one-anew", "two"))
    several.goes_on()
    replace(several, two, "two-anew", new)
    several.until(lambda: several.shared_by("one-anew", "two-anew"))
    several.goes_on()
    # Then there was always one that judged; that none was lost or doubled, the group looks after
    assert versions(several) == [NEW, NEW]
    seconds = longest_unscored(several)
    print(f"no monitor was unscored for more than {seconds:.1f} s, with ticks of 0.5 s")
    assert seconds < MOST_SECONDS_UNSCORED
    assert several.plant.ask("SELECT count(*) FROM runs WHERE outcome = 'failed'") == [(0,)]


def test_a_new_schema_is_made_while_the_old_version_judges_on(several, tmp_path):
    new = copied(tmp_path / "new")
    with_a_schema_of_its_own(new)
    one, two = several.start("one"), several.start("two")
    several.until(lambda: several.shared_by("one", "two"))
    # Given the old schema, a new version does not start, and says what to do
    early = several.add("early", prefix=new.prefix)
    refused = new.run("run", "-c", str(early.config))
    assert refused.returncode == 5, refused.stderr
    assert "run `aemon db upgrade`" in refused.stderr
    several.goes_on()
    # When it is made, the old ones go on on it
    upgraded = new.run("db", "upgrade", "-c", str(one.config))
    assert upgraded.returncode == 0, upgraded.stderr
    several.goes_on()
    assert {len(names) for names in several.held().values()} == {len(NAMES) // 2}
    # And they are replaced one by one
    replace(several, one, "one-anew", new)
    replace(several, two, "two-anew", new)
    several.until(lambda: several.shared_by("one-anew", "two-anew"))
    several.goes_on()
    assert versions(several) == [NEW, NEW]
    seconds = longest_unscored(several)
    print(f"no monitor was unscored for more than {seconds:.1f} s, with ticks of 0.5 s")
    assert seconds < MOST_SECONDS_UNSCORED
    # There is no way back to the old version on the new schema
    assert "install a newer aemon" in old_start(two.config)


def old_start(config: Path) -> str:
    command = [sys.executable, "-m", "aemon", "run", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5
    return done.stderr
