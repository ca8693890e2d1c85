"""Queries for long lists of results: one page at a time, each row once."""
