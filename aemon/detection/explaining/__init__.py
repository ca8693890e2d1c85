"""Explanations of flagged records: the columns to blame, and their expected values."""
