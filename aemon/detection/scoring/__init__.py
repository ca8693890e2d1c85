"""Computation of one score for each record from its features."""
