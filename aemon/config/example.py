"""The commented configuration that `aemon init` writes."""

from importlib.resources import files


def example_text() -> str:
    """The text of a small working `aemon.yaml` with every other key as a comment."""
    return files("aemon.config").joinpath("example.yaml").read_text(encoding="utf-8")
