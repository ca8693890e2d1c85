"""Conversion of a frame's columns to features, and of features to columns."""
