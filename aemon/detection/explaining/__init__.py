"""Explanations of flagged records: the blamed columns, and the expected values of these columns."""
