"""One scoring run of one monitor: read, judge, commit."""
