"""The logs speak one vocabulary, all of which is documented, and nothing else."""

import ast
import re
from pathlib import Path

from aemon.logs import ACTIONS, RUN_ENDS
from aemon.records import Job, Outcome

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TWO_WORDS = re.compile(r"[a-z]+\.[a-z_]+")


def spoken() -> set[str]:
    """Every action that the source logs; of one that is chosen first, all that can be chosen."""
    return {
        action
        for path in sorted((ROOT / "aemon").rglob("*.py"))
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for node in ast.walk(tree)
        for action in said_by(node, tree)
        if path.name != "logs.py"
    }


def said_by(node: ast.AST, tree: ast.Module) -> set[str]:
    match node:
        case ast.Call(func=ast.Name(id="log"), args=[_, _, ast.Constant(value=str(action)), *_]):
            return {action}
        case ast.Call(func=ast.Name(id="log"), args=[_, _, ast.Name(), *_]):
            texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
            return {text for text in texts if TWO_WORDS.fullmatch(str(text))}
        case ast.Call(func=ast.Name(id="log"), args=[_, _, other, *_]):
            assert ast.unparse(other) == "f'{report.job}.{report.outcome}'"
        case ast.Dict(
            keys=[ast.Constant(value="action"), *_], values=[ast.Constant(value=str(action)), *_]
        ):
            return {action}
    return set()


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
