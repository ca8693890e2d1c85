"""Queries for the web pages: states of many monitors at once, and series cut into pieces of time."""
