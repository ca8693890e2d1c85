"""The inbox of streams: what they said and is kept, joined, noted or rejected."""
