"""Traffic: the entities that send records, and the number of records per time."""
