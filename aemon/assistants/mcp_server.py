"""The server of the tools: it speaks the Model Context Protocol on standard input and output."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from aemon import __version__
from aemon.assistants.reading_tools import Tools
from aemon.errors import AemonError, ConfigError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

_ABOUT = """aemon watches records and flags anomalies. `status` lists the monitors. An episode is a
row of adjacent anomalies of one entity. An exceedance is a score divided by its threshold: above 1,
a record is flagged. All times are in UTC. The tools only read."""


def build_server(tools: Tools) -> "MCPServer[Any]":
    """Return a server with all tools, each marked as read-only.

    Raises:
        ConfigError: the package `mcp` is not installed, or is older than version 2.
    """
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the tools for assistants need the package mcp, version 2 or later",
            todo="pip install 'aemon[mcp]'",
        ) from error
    server: MCPServer[Any] = MCPServer(
        "aemon", version=__version__, instructions=_ABOUT, log_level="WARNING"
    )
    for tool in tools.every:
        server.add_tool(
            _with_todo(tool, ToolError),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
            structured_output=False,
        )
    return server


def _with_todo(tool: Callable[..., str], failure: type[Exception]) -> Callable[..., str]:
    """Return a tool whose errors say what to do."""

    @wraps(tool)
    def answered(*arguments: Any, **named: Any) -> str:
        try:
            return tool(*arguments, **named)
        except AemonError as error:
            raise failure(
                f"{error.message} ({error.todo})" if error.todo else error.message
            ) from None

    return answered
