"""Records from CSV files that grow."""
