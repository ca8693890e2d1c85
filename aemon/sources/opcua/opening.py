"""Opens a source of kind opcua; its client library is an extra of aemon."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.sources.missing_packages import missing_package
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
        raise missing_package(error, "opcua", {"asyncua": "asyncua"}) from None
    return OpcUa(settings, clock)
