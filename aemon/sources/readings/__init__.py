"""From readings to records: long tables of tags, buckets of time and quality codes, over any source."""
