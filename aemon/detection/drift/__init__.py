"""Drift: the change of scores, and of the values of columns, since the training records."""
