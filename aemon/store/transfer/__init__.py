"""Export of a whole store to one file, and import of the file."""
