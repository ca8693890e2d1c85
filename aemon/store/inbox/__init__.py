"""The inbox of streams: kept, unfinished and rejected records, and notes."""
