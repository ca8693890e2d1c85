"""`aemon mcp`: read-only tools for assistants."""

from aemon.cli.output import CONFIG_FILE, ConfigOption, open_installation, read_config


def mcp(config: ConfigOption = CONFIG_FILE) -> None:
    """Serve read-only tools for assistants, by the Model Context Protocol (stdio).

    The assistant starts this command. It needs pip install 'aemon[mcp]'.
    """
    from aemon.assistants.mcp_server import build_server
    from aemon.assistants.reading_tools import Tools

    read_config(config)  # an error is better shown now than in every answer
    build_server(Tools(lambda: open_installation(config))).run("stdio")
