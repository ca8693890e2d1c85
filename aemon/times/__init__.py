"""Reads event times from text and numbers in many forms."""
