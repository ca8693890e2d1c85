"""Traffic: which entities send records, and how many records arrive per time."""
