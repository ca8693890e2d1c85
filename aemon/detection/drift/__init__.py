"""Drift: how far scores and columns have moved from the training records."""
