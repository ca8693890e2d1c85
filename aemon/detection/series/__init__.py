"""Judges records together with earlier records of the same entity, in windows over time."""
