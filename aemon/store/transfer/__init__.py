"""A whole store as one file: export and import."""
