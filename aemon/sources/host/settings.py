"""The settings of the source `host`: the machine on which aemon runs."""

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from aemon.config.source_settings import SourceSettings
from aemon.config.values.times import Pause


class HostSource(SourceSettings):
    """The machine on which aemon runs: load, processor, memory, disk and network, by psutil."""

    opened_by: ClassVar[str] = "aemon.sources.host.source:open_host"
    is_stream: ClassVar[bool] = True

    kind: Literal["host"] = "host"
    sample_every: Pause = Field(timedelta(seconds=5), description="pause between samples")
