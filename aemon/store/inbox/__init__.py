"""The inbox of streams in the store: kept, unfinished and rejected records, and stream notes."""
