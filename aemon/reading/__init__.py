"""From what a source returns to frames of records."""
