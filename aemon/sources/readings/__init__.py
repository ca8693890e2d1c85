"""Records made from the readings of any source: long tables, buckets of time, quality codes."""
