"""The logs speak one vocabulary, all of which is documented, and nothing else."""

import ast
import re
from pathlib import Path

from aemon.records import Job, Outcome
from aemon.service.actions import ACTIONS, RUN_ENDS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TWO_WORDS = re.compile(r"[a-z]+\.[a-z_]+")


def spoken() -> set[str]:
    """Every action that the source logs; of one that is chosen first, all that can be chosen."""
    found: set[str] = set()
    for path in sorted((ROOT / "aemon").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id == "log" and len(node.args) > 2:
                match node.args[2]:
                    case ast.Constant(value=str(action)):
                        found.add(action)
                    case ast.Name():
                        found |= {text for text in texts if TWO_WORDS.fullmatch(text)}
                    case other:
                        assert ast.unparse(other) == "f'{report.job}.{report.outcome}'", path
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict) and path.name != "logs.py":
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "action":
                        found.add(ast.literal_eval(value))
    return found


def test_what_is_logged_is_in_the_vocabulary_and_the_other_way_round():
    assert spoken() == set(ACTIONS)


def test_the_ends_of_runs_are_told_as_job_and_outcome():
    assert len(RUN_ENDS) == len(Job) * (len(Outcome) - 1)
    assert "score.ok" in RUN_ENDS
    assert "train.timed_out" in RUN_ENDS


def test_every_action_is_documented():
    for action, meaning in ACTIONS.items():
        assert f"| `{action}` | {meaning} |" in README
    assert "`score.ok`" in README
