"""Opening a source of kind opcua; its client library is an extra of aemon."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.sources.opcua.settings import OpcUaSource

if TYPE_CHECKING:
    from aemon.sources.opcua.source import OpcUa


def open_source(settings: OpcUaSource, clock: Clock) -> "OpcUa":
    """Return the stream for some settings; the stream does not listen before the first `take`.

    Raises:
        SourceConfigError: the client library is not installed.
    """
    try:
        from aemon.sources.opcua.source import OpcUa
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "asyncua":
            raise
        raise SourceConfigError(
            "a source of kind opcua needs asyncua, which is not installed",
            todo="pip install 'aemon[opcua]'",
        ) from None
    return OpcUa(settings, clock)
