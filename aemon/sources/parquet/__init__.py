"""Records from Parquet files."""
