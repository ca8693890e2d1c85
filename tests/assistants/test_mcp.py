"""`aemon mcp`: what an assistant asks over a real connection, and what it may not do."""

import json
import sys
from functools import partial

import anyio
import pytest

from aemon.errors import ExitCode
from tests.cli.commands import run

mcp = pytest.importorskip("mcp")
READING = {
    "status", "episodes", "episode", "flagged_records", "explain", "runs", "series",
    "documentation",
}  # fmt: skip


def asked(folder, *calls):
    """Start the command as an assistant does, and return the answers of its tools."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters

    server = StdioServerParameters(
        command=sys.executable, args=["-m", "aemon", "mcp"], cwd=folder, env={"PATH": ""}
    )

    async def talk():
        async with Client(server, read_timeout_seconds=120) as client:
            tools = (await client.list_tools()).tools
            return tools, [await client.call_tool(name, given) for name, given in calls]

    return anyio.run(partial(talk))


def told(answer):
    assert not answer.is_error, answer
    (content,) = answer.content
    return content.text


def test_an_assistant_reads_what_the_commands_print(struck):
    number = json.loads(run(struck, "episodes", "list", "--json").stdout)[-1]["id"]
    flagged = json.loads(run(struck, "anomalies", "--json").stdout)
    tools, answers = asked(
        struck,
        ("status", {}),
        ("episodes", {"monitor": "pumps"}),
        ("episode", {"number": number}),
        ("flagged_records", {"limit": 2}),
        ("explain", {"monitor": "pumps", "record_key": flagged[0]["record_key"]}),
        ("runs", {"outcome": "ok", "since": "7d"}),
        ("series", {"monitor": "pumps", "points": 10}),
        ("documentation", {"topic": "thresholds"}),
        ("documentation", {"search": "watermark"}),
    )
    assert {tool.name for tool in tools} == READING
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert all(tool.description for tool in tools)
    status, episodes, episode, records, why, runs, series, page, lines = map(told, answers)
    (pumps,) = json.loads(status)
    assert (pumps["name"], pumps["episodes_open"]) == ("pumps", 1)
    listed = json.loads(run(struck, "episodes", "list", "--json").stdout)
    assert json.loads(episodes) == listed
    assert len(json.loads(episode)["flagged_records"]) == 3
    assert json.loads(records) == flagged[:2]
    assert json.loads(why)["reason"] == flagged[0]["reason"]
    assert {one["outcome"] for one in json.loads(runs)} == {"ok"}
    assert sum(json.loads(series)["flagged"]) == 6
    assert page.startswith("# ")
    assert json.loads(lines)


def test_an_error_says_what_to_do_and_the_next_question_is_answered(struck):
    _, answers = asked(
        struck,
        ("explain", {"monitor": "pump", "record_key": "1"}),
        ("runs", {"since": "lately"}),
        ("episodes", {"limit": 100_000}),
        ("status", {}),
    )
    unknown, time, many, status = answers
    assert unknown.is_error
    assert "did you mean 'pumps'?" in unknown.content[0].text
    assert time.is_error
    assert "neither a duration" in time.content[0].text
    assert many.is_error
    assert "less than or equal to 100" in many.content[0].text
    assert json.loads(told(status))


def test_a_configuration_that_is_wrong_is_refused_at_once(folder):
    (folder / "aemon.yaml").write_text("monitors: 3\n")
    done = run(folder, "mcp", code=ExitCode.CONFIG)
    assert "monitors" in done.stderr
    assert done.stdout == ""
