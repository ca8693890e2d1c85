"""Turns the records that a source returns into frames."""
