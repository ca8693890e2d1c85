"""aemon: a daemon that learns what normal records look like and flags the rest, with reasons."""

__version__ = "0.1.0"
