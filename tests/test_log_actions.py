"""The logs speak one vocabulary, all of which is documented, and nothing else."""

import ast
from pathlib import Path

from aemon.logs import RUN_ENDS, Action
from aemon.records import Job, Outcome
from tests.documents import PAGES

ROOT = Path(__file__).resolve().parents[1]
A_RUNS_END = "f'{report.job}.{report.outcome}'"


def modules() -> list[ast.Module]:
    return [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "aemon").rglob("*.py"))
        if path.name != "logs.py"
    ]


def spoken() -> set[str]:
    """The name of every action that the source mentions."""
    return {
        node.attr
        for tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Action"
    }


def written_out() -> list[str]:
    """Actions that are text where a constant is meant."""
    words = {str(action) for action in Action if "." in action}
    found = []
    for tree in modules():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="log"), args=[_, _, ast.Constant() as action, *_]):
                    found.append(ast.unparse(action))
                case ast.Call(func=ast.Name(id="log"), args=[_, _, ast.JoinedStr() as action, *_]):
                    found += [ast.unparse(action)] if ast.unparse(action) != A_RUNS_END else []
                case ast.Constant(value=str(text)) if text in words:
                    found.append(text)
    return found


def test_what_is_logged_is_in_the_vocabulary_and_the_other_way_round():
    assert spoken() == {action.name for action in Action}


def test_no_action_is_written_out_where_it_is_logged():
    assert written_out() == []


def test_the_ends_of_runs_are_told_as_job_and_outcome():
    assert len(RUN_ENDS) == len(Job) * (len(Outcome) - 1)
    assert "score.ok" in RUN_ENDS
    assert "train.timed_out" in RUN_ENDS


def test_every_action_is_documented():
    for action in Action:
        assert f"\n| `{action}` | {action.meaning} |\n" in PAGES["logs"]
    assert "`score.ok`" in PAGES["logs"]
